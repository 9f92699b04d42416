"""DECIDES, and never does: ``Scheduler.turn(now_ms, events) -> Decision(facts, actions, more)``.

May import ``model`` only. No clock, no chance, no floats, no input or output, no logging: time, ids and chance
arrive on the events. Start reading with ``scheduler.py`` (the door), then ``serving.py`` (who
starts now) and ``lifecycle.py`` (what happens to a job).
"""
