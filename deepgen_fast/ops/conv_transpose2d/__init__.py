"""Transposed convolution of generators and decoders."""

from deepgen_fast.ops.conv_transpose2d.function import conv_transpose2d

__all__ = ["conv_transpose2d"]
