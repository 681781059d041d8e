"""Starts the processes that outlive a screen or serve it."""
