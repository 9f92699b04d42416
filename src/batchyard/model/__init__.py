"""The words all rooms share: ids, states, needs, events, facts, actions.

May import nothing but the standard library. Values that cross a door (events, facts, actions) are
NamedTuples and never change. Start reading with ``states.py``, then ``events.py`` and ``facts.py``.
"""
