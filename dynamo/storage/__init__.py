"""Adapters to the storage of sites."""
