"""What a run keeps: weights, moments, averages, its place, its files."""
