"""A DCGAN training step, everything included: GANTrainer beside plain PyTorch."""
