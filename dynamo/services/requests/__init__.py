"""Requests of every kind: shown, forecast, what they wait for, and their problems."""
