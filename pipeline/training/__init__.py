"""Training on token-budget batches, through checkpoints that resume exactly."""
