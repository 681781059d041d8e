"""Models that others trained: found, looked at and refused before a library gets them."""
