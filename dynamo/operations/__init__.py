"""The life of a transfer and a deletion: states, reasons and back-off, pure."""
