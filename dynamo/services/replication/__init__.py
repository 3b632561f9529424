"""Replicas made: scheduled, put together from parts, completed, handed to new owners."""
