"""Measurements: what Batchyard must reach, beside what a bare machine reaches in the same run.

``python -m bench.run [names...]`` (or ``make bench``) measures; ``budgets.toml`` says what is asked and what was
measured last. Nothing here is asserted by a test: a shared machine is sometimes slow. Medians of several rounds, each
next to a round of its baseline, are what can be compared. Start reading in ``run.py``; a scenario is one file in
``scenarios/``.
"""
