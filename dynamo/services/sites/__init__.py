"""Sites: properties, probes, automatic status changes, feeds, switches."""
