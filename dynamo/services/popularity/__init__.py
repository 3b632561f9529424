"""Accesses and demands: what is wanted."""
