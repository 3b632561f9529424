"""Storages that speak XRootD."""
