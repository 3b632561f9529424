"""Claims of operations under leases, and periodic tasks."""
