"""Modules: blocks of generators and discriminators, and other people's models on this library's operators."""

from deepgen_fast.nn.accelerate import accelerate, restore
from deepgen_fast.nn.blocks import DiscriminatorBlock, GeneratorBlock

__all__ = ["DiscriminatorBlock", "GeneratorBlock", "accelerate", "restore"]
