"""What the operators gain on a CUDA device: ``python -m benchmarks.gpu``."""
