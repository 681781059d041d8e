"""The state of a run: its folder, stages, freshness, events, and the processes that work in it."""
