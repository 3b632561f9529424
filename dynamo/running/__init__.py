"""Running: programs that are started, watched and stopped."""
