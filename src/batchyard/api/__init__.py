"""What each call does: one request in, one answer out. One file per noun.

May import ``model``, ``ports``, ``wire``, ``access``, ``admission``, ``doctor``, ``config`` and ``errors``; never the
engine, the scheduler or the store, which arrive as ports in a ``Context``. Start reading with ``app.py``: the list of
steps that every request goes through.
"""
