"""Executors run attempts: one file per kind of place, and none knows the scheduler.

``contract.py`` says what an attempt is to any of them (environment, exit reasons); ``process.py`` runs attempts as
processes of this machine by way of ``runner/``, a small parent that outlives the server. Start at ``contract.py``.
May import ``model``, ``ports``, ``config`` and ``errors``; ``runner`` imports the standard library and this room only.
"""
