"""The catalogue for callers: datasets, blocks, files, replicas, locations, history."""
