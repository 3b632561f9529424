"""Popularity: accesses of jobs, and demands of waiting jobs."""
