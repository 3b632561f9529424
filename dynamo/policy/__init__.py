"""The policy language: text to checked rules, rules to operations on whole columns."""
