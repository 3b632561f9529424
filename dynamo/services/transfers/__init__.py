"""Files on their way: throttled, executed, recorded."""
