"""Invariants, each as a statement that finds rows breaking it."""
