"""Modules: blocks of generators and discriminators."""

from deepgen_fast.nn.blocks import DiscriminatorBlock, GeneratorBlock

__all__ = ["DiscriminatorBlock", "GeneratorBlock"]
