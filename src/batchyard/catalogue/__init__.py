"""INSTANCE TYPES: how large they are and what they cost. The data file and its reader; nothing here decides.

May import ``model`` and ``errors``. Start reading with ``reader.py``; README.md names the sources of the data.
"""
