"""Transposed convolution, batch normalization and activation, one layer of a generator."""

from deepgen_fast.ops.conv_transpose_bn_act.function import conv_transpose_bn_act

__all__ = ["conv_transpose_bn_act"]
