"""The ``batchyard`` command: what a person types.

It speaks the public HTTP API and nothing else, so whatever it can do any client can. May import ``config``,
``errors``, ``doctor`` (which looks at the machine where no server runs), ``access.sigv4``, ``access.keys``,
``wire.shapes``, click, and rich (inside functions: it is slow to import); ``serve.py`` may also import ``server``, and
``demo.py`` the names of what its jobs leave (``relief.folder``). One file per command. Start reading with ``main.py``,
then ``client.py`` (how a request is made) and ``follow.py`` (how a job is watched).
"""
