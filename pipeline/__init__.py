"""Everything that computes. Knows no screen: it is started as processes and read from disk."""
