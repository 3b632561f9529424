"""Decides and remembers where scientific data are."""
