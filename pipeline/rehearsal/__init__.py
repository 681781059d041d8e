"""The rehearsal: whether a model's influence can be computed, tried before it is trained."""
