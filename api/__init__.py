"""The REST API: parse, call, answer."""
