"""Strategies: what the business wants, answered as integers."""
