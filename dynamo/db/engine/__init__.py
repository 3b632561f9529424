"""The database engine: units of work, drivers, bulk inserts, keys, pages."""
