"""A STORED ROW IN AWS'S WORDS: what answers and state-change events show of a job, from the same code; and in our own
words why a job is not running.

May import ``model``, ``ports``, ``errors`` and ``wire.shapes``. Start reading with ``jobs.py``; ``arns.py`` goes both
ways, from names to ARNs and back. ``explanations.py`` makes the sentence, ``verdicts.py`` what it says of environments.
"""
