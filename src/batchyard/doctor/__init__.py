"""What this machine can do for jobs, what is weaker than it should be, and what would enable more.

It looks and reports; it changes nothing and decides nothing. May import nothing of the package, so that the api (which
answers ``GET /x/doctor`` and adds to a job's notices) and the command line (where no server runs) can both ask it.
Start reading with ``checks.py``.
"""
