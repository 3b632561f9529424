"""Cycles of both engines: filed, run, shown."""
