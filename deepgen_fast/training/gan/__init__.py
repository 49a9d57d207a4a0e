"""The trainer of GANs and what it is made of."""
