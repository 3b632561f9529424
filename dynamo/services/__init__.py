"""Use cases: each makes its changes in transactions, all or nothing."""
