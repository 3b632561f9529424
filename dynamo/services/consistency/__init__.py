"""Storage compared with the catalogue: scans, listings, incidents, remedies, repair."""
