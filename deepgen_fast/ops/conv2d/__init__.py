"""Strided convolution of discriminators and encoders."""

from deepgen_fast.ops.conv2d.function import conv2d

__all__ = ["conv2d"]
