"""The small parent per host that holds the jobs, and its slots; both outlive the server.

Start reading at ``parent.py`` (who runs what), then ``slot.py`` (one job at a time) and ``job.py`` (one attempt from
claim to exit record). ``sandbox.py`` is what the kernel is asked for, ``wire.py`` how the three kinds of process
speak, ``about.py`` what the runner tells of its machine. Imports the standard library, setproctitle and nothing else:
a slot is a fork of this process.
"""
