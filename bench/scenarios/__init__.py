"""One file a scenario; each has ``measure()``, which yields Measures."""
