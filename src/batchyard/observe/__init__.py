"""TELLS THE WORLD of what happened, and cannot influence a decision: job logs, state-change events.

May import ``model``, ``ports``, ``config``, ``errors`` and ``describe``. Start reading with ``follow.py`` (who follows
the journal), then ``state_changes.py`` and ``sinks``; ``joblogs.py`` stands alone.
"""
