"""WHO AND MAY THEY. Pure functions over a Directory of access keys; every request is signed from the first day.

May import ``model``, ``ports``, ``config`` and ``errors``. Start reading with ``authenticate.py`` (what is checked, in
which order), then ``sigv4.py`` (the arithmetic, for both sides). ``keys.py`` makes and reads the access-key file.
"""
