"""Accounts: partitions, user quotas, unique share, bookings."""
