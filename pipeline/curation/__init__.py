"""Sorts training data by their influence on some prompts, and writes what stays and what goes."""
