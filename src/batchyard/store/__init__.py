"""Remembers: SQLite files in the data directory, each with exactly one writing process.

``requests.db`` says what was asked (written by the api process through ``intake``), ``state.db`` what became of it
(written by the engine process through ``commits``). Both are WAL with full sync: what was answered is on disk.
``observe.db`` says how far the observe process is with telling the world (``journal``).
May import ``model``, ``ports``, ``config``, ``errors``, msgspec and the standard library; never another room.

Start reading with ``sql/requests.sql`` and ``sql/state.sql``; then ``writer.py`` (how many callers share one
commit) and ``intake.py``, ``apply.py`` (a fact becomes rows) and ``commits.py``, then ``reader.py``, last
``retention.py`` (how finished jobs leave both files).
"""
