"""How a storage is spoken to."""
