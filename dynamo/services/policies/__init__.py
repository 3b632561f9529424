"""Policies, placement rules and locks, with their versions."""
