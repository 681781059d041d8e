"""The state of a run: its folder, stages, freshness, events, and who works in it."""
