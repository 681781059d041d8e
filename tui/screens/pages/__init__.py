"""Pages of the evaluation screen: what their tables hold, and what is told of a row."""
