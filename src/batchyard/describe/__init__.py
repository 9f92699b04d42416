"""A STORED ROW IN AWS'S WORDS: what answers and state-change events show of a job, from the same code.

May import ``model``, ``ports``, ``errors`` and ``wire.shapes``. Start reading with ``jobs.py``; ``arns.py`` goes both
ways, from names to ARNs and back.
"""
