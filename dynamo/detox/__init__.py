"""Detox decides what a full site can do without: snapshot and policy in, plan out."""
