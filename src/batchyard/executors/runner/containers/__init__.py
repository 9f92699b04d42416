"""Attempts that run in containers: what a slot does with an engine of Docker's API, Docker and Podman alike.

Start reading at ``task.py`` (an attempt of one or more containers), then ``container.py`` (one of them, from its making
to its removal) and ``engine.py`` (what is asked of the engine, and how the two engines differ). ``sequence.py`` decides
who may start and how it ends, ``options.py`` says what an engine is asked for, ``counting.py`` what the kernel counts,
``trial.py`` how an engine is chosen, ``leftovers.py`` what becomes of containers that nobody watches. Imported only
where there is an engine.
"""
