"""The worker pools: tasks that act on rows of the inventory."""
