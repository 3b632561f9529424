"""Official data: taken as it lies at sites, many datasets, blocks and files in one call."""
