"""``accelerate(model)`` and ``restore(model)``: other people's models on this library's operators, in place."""

from deepgen_fast.nn.accelerate.interface import accelerate, restore

__all__ = ["accelerate", "restore"]
