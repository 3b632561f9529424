"""The life of an operation: failures, back-off, breakers."""
