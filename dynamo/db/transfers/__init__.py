"""Statements about transfers, streams, links, fair shares and sources."""
