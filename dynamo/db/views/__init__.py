"""Reads for what callers are shown; nothing here writes."""
