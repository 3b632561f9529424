"""Who may fill how much: partitions, user quotas, their unique share, bookings."""
