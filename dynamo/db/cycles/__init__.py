"""Statements about cycles, their decisions, and what protects replicas meanwhile."""
