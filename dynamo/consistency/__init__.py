"""Compares what lies at a site with the catalogue. Pure: values in, a verdict out."""
