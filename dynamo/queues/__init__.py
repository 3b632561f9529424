"""Hints to the worker pools through Celery and Redis."""
