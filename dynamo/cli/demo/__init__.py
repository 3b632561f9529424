"""The demonstration: the main job from one call to one site, with a worker killed in between."""
