"""What keeps the system well: the sweeper, the invariants, its health."""
