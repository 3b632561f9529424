"""Dealer cycles and plans: the question that the engine answers, and its plan carried out."""
