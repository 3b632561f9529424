"""What is where, as callers read it: datasets, blocks, files, replicas, locations, history."""
