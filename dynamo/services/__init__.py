"""Use cases: what happens together or not at all."""
