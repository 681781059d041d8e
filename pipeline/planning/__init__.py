"""What a run will take before it is run: memory, passes over the data, time and disk."""
