"""How work is announced to the worker pools."""
