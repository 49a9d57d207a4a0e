"""Modules: blocks of generators and discriminators, and other people's models on this library's operators."""

from deepgen_fast.nn.accelerate import accelerate, restore
from deepgen_fast.nn.blocks import DiscriminatorBlock, GeneratorBlock
from deepgen_fast.nn.minibatch_discrimination import MinibatchDiscrimination
from deepgen_fast.nn.synchronized import synchronized_batch_norm, unsynchronized
from deepgen_fast.nn.virtual_batch_norm import ReferenceBatch, VirtualBatchNorm, VirtualBatchNorm1d, VirtualBatchNorm2d

__all__ = [
    "DiscriminatorBlock",
    "GeneratorBlock",
    "MinibatchDiscrimination",
    "ReferenceBatch",
    "VirtualBatchNorm",
    "VirtualBatchNorm1d",
    "VirtualBatchNorm2d",
    "accelerate",
    "restore",
    "synchronized_batch_norm",
    "unsynchronized",
]
