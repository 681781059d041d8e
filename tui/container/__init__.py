"""What the image begins with: it warns, runs `headwater`, and stays while stages are at work."""
