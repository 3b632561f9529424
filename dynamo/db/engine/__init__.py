"""The database itself: units of work, drivers, bulk inserts, keys, pages."""
