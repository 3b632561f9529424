"""Sites: described, probed, set aside, fed by others, switched off."""
