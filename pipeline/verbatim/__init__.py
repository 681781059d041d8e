"""Which words of a text stand in the training data: suffix arrays, and the search in them."""
