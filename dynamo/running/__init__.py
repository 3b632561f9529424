"""Programs of a running system: start, supervision and stop."""
