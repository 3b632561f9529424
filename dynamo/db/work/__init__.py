"""Pieces of work claimed under leases, and what runs periodically."""
