"""Statements about datasets, blocks, files, replicas and their accounts."""
