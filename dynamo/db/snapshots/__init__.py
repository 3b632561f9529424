"""The inventory loaded as columns, kept in files, with attributes and occupancy."""
