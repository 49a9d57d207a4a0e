"""``accelerate(model)``, ``restore(model)`` and ``explain(model_or_op, *example)``."""

from deepgen_fast.nn.accelerate.interface import accelerate, restore

__all__ = ["accelerate", "restore"]
