"""What belongs to the person and not to a run: settings, keys, pinned runs."""
