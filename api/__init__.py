"""The REST API: resources parse a call, make one call of a service, and answer."""
