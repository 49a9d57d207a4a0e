"""Convolution, batch normalization and activation, one layer of a discriminator."""

from deepgen_fast.ops.conv_bn_act.function import conv_bn_act

__all__ = ["conv_bn_act"]
