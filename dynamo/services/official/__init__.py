"""Official data: registers data that are at sites, many datasets, blocks and files per call."""
