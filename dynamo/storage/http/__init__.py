"""What lies on web servers."""
