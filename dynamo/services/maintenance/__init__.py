"""Maintenance: the sweeper, the invariants, the health of the service."""
