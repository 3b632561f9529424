"""The inventory in MySQL or SQLite."""
