"""Statements about scans, sightings, incidents and remedies."""
