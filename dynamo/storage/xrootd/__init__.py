"""Storages with the XRootD protocol."""
