"""Screens: each reads its run off the event loop and hands what it read to its widgets."""
