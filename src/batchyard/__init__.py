"""Batchyard: AWS Batch on your own machines.

Start reading at ARCHITECTURE.md, then ``engine/engine.py`` (gather, decide, commit, act).
"""

__version__ = "0.1.0"
