"""The fused operators: one folder each, with the same name in csrc/ops, tests/ops and benchmarks."""

from deepgen_fast.ops.bernoulli_log_likelihood import bernoulli_log_likelihood
from deepgen_fast.ops.conv2d import conv2d
from deepgen_fast.ops.conv_bn_act import conv_bn_act
from deepgen_fast.ops.conv_transpose2d import conv_transpose2d
from deepgen_fast.ops.conv_transpose_bn_act import conv_transpose_bn_act
from deepgen_fast.ops.gaussian_log_likelihood import gaussian_log_likelihood
from deepgen_fast.ops.minibatch_discrimination import minibatch_discrimination
from deepgen_fast.ops.negative_elbo import NegativeELBO, negative_elbo
from deepgen_fast.ops.reparameterize_kl import reparameterize_kl

__all__ = [
    "NegativeELBO",
    "bernoulli_log_likelihood",
    "conv2d",
    "conv_bn_act",
    "conv_transpose2d",
    "conv_transpose_bn_act",
    "gaussian_log_likelihood",
    "minibatch_discrimination",
    "negative_elbo",
    "reparameterize_kl",
]
