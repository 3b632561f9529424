"""Weeks of a collaboration's life on a virtual clock: real engines and services, imagined bytes."""
