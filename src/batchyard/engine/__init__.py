"""CARRIES OUT: gather, decide, commit, act. Read ``engine.py`` first.

May import ``scheduler``, ``model``, ``ports`` and ``config``; the store, the executors and the clock's readings
arrive as arguments. Single-threaded on purpose: it acts at its own pace, never inside a callback.
"""
