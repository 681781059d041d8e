"""What the model can do: answers, metrics, benchmarks."""
