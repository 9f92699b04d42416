"""Real container engines for tests: private ones, each in a directory of its own, gone when the tests are over.

`fixtures.py` has what tests ask for; `docker.py` and `podman.py` how each engine is started and killed, `private.py`
what is the same of both; `images.py` the images, made from programs of this machine since no registry is needed here.
"""
