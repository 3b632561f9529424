"""Comparing what lies at a site with what should: pure, values in and a plan out."""
