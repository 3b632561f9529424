"""How storages are spoken to."""
