"""Detox cycles: the snapshot, the decisions, their execution, and replay."""
