"""Storms: the real engine and the real store under a virtual clock, with crashes, lost, repeated and late news.

One number, the seed, decides topology, load and faults; ``python -m tests.storm SEED`` repeats a storm. Start reading
with ``storm.py``. The auditor (``auditor.py``) knows the rules and not the code.
"""
