"""Modules: blocks of generators and discriminators, and other people's models on this library's operators."""

from deepgen_fast.nn.accelerate import accelerate, restore
from deepgen_fast.nn.blocks import DiscriminatorBlock, GeneratorBlock
from deepgen_fast.nn.synchronized import synchronized_batch_norm, unsynchronized

__all__ = ["DiscriminatorBlock", "GeneratorBlock", "accelerate", "restore", "synchronized_batch_norm", "unsynchronized"]
