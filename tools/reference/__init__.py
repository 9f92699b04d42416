"""The pages that are made from the code, one module a page: each has ``page() -> str``. Start with ``cli.py``."""
