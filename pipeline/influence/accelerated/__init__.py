"""Kronfluence's passes on linear modules with less arithmetic, through its own extension point."""
