"""Statements about sites, downtimes, feeds, breakers and switches."""
