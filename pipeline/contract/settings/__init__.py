"""What the user writes: settings and prompts, read and checked."""
