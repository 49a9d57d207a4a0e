"""What a run shows: progress, pictures, TensorBoard files."""
