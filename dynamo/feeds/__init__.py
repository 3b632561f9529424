"""Feeds: documents from other services about sites, accesses and demands."""
