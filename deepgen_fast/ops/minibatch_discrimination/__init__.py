"""Fused minibatch discrimination."""

from deepgen_fast.ops.minibatch_discrimination.function import minibatch_discrimination

__all__ = ["minibatch_discrimination"]
