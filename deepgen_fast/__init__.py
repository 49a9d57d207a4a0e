"""Fast building blocks for deep generative models in PyTorch: fused operators, and the VAE and GAN trainers on them."""

from deepgen_fast import backends, nn
from deepgen_fast._version import __version__
from deepgen_fast.explanation import explain
from deepgen_fast.nn import accelerate, restore
from deepgen_fast.ops import (
    NegativeELBO,
    bernoulli_log_likelihood,
    conv2d,
    conv_bn_act,
    conv_transpose2d,
    conv_transpose_bn_act,
    gaussian_log_likelihood,
    minibatch_discrimination,
    negative_elbo,
    reparameterize_kl,
)


def doctor():
    """What is built, loaded and missing here, and what to do about it; ``print(dgf.doctor())``."""
    from deepgen_fast.diagnosis import doctor

    return doctor()


__all__ = [
    "NegativeELBO",
    "__version__",
    "accelerate",
    "backends",
    "bernoulli_log_likelihood",
    "conv2d",
    "conv_bn_act",
    "conv_transpose2d",
    "conv_transpose_bn_act",
    "doctor",
    "explain",
    "gaussian_log_likelihood",
    "minibatch_discrimination",
    "negative_elbo",
    "nn",
    "reparameterize_kl",
    "restore",
]
