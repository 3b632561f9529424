"""Deletions: asked for, guarded, condemned, rescued, and carried out by the reaper."""
