"""TELLS THE WORLD of what happened, and cannot influence a decision: job logs for now.

May import ``model``, ``ports``, ``config`` and ``errors``. Start reading with ``joblogs.py``.
"""
