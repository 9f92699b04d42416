"""What tasks are given of the world outside: secrets and parameters, passwords of registries, credentials of roles.

May import ``model``, ``ports``, ``config``, ``errors`` and the signing of ``access``. Start reading with ``desk.py``;
``references.py`` takes apart what definitions name, ``calls.py`` speaks to other servers. Nothing here is written to a
file or a log.
"""
