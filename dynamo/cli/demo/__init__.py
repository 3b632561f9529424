"""The demonstration: inject files, gather them at one site, and survive killed workers."""
