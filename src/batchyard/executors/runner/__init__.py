"""The small parent per host that holds the jobs, and its slots; both outlive the server.

Start reading at ``parent.py`` (who runs what), then ``slot.py`` (one job at a time) and ``job.py`` (one attempt from
claim to exit record), which has its output (``output.py``), its working directory (``desk.py``) and its memory
(``memory.py``). ``sandbox.py`` is what the kernel is asked for, ``wire.py`` how the three kinds of process speak,
``sweep.py`` what is removed, ``about.py`` what the runner tells of its machine, ``seats.py`` what it knows of a slot.
Attempts in containers are ``containers/``, their orders ``orders.py``, the engine ``choice.py``. Imports the standard
library and setproctitle, and `docker` where there is an engine: a slot is a fork of this process.
"""
