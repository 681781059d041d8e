"""Finds files of a run that are not what was written, and puts them away."""
