"""Convolution layers and DCGAN's networks: each pass by each algorithm, beside PyTorch in both memory formats."""
