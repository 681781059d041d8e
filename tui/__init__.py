"""Everything a person touches: the command line and the dashboard. Never imports torch."""
