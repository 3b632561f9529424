"""Feeds: documents in which others tell of sites, accesses and demands."""
