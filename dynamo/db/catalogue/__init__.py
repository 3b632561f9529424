"""Statements about datasets, blocks, files, replicas, and who accounts for them."""
