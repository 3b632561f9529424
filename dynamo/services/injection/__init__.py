"""User data handed over: validated, registered, rebooked, and closed."""
