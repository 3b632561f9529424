"""Statements about sites that are emptied: progress, what is unreadable, time watched."""
