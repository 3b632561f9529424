"""The life cycle of transfers and deletions: states, reasons and back-off. Pure."""
