"""What a request means: a request becomes a NewDefinition, NewEnvironment, NewQueue or NewJob, or is refused.

Pure: no clock, no randomness, no I/O; times, ids and what the store knows arrive as arguments, so the simulator
can use the same rules. May import ``model``, ``errors`` and the request types of ``wire.shapes``. One file per noun;
start reading with ``jobs.py``. Texts of refusals are AWS's own where they are known (reference "Error message
catalogue"), else they name the member, the value and the next step.
"""
