"""Decides what is copied where: proposals in, a plan out, all limits kept."""
