"""Statements that condemn, schedule, send and forget."""
