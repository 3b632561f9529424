"""Statements that read what callers are shown."""
