"""Statements about policies, placement rules, locks and popularity."""
