"""Influence functions: what is tracked, fitted, scored, and ranked."""
