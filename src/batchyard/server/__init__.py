"""The one place where ports meet adapters: settings in, running processes out.

May import everything; only ``cli`` imports it. Start reading with ``start.py``; ``supervisor.py`` keeps the processes
alive, ``children.py`` is what each of them is made of.
"""
