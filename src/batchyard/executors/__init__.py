"""RUN ATTEMPTS: one file per kind of place; none knows the scheduler.

May import ``model``, ``ports``, ``config`` and ``errors``; ``runner`` only the standard library and itself, because it
outlives the server. Start reading with ``contract.py`` (what every executor promises), then ``process.py``.
"""
