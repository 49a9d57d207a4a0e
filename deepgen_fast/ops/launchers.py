"""The launchers of an operator on a backend: modules with the same functions and signatures."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

# Both native libraries implement the same operators; the dispatcher picks by device.
_MODULES = {"reference": "reference", "cpu": "native", "cuda": "native", "triton": "triton"}


@cache
def launchers(op: str, backend: str) -> ModuleType:
    """The module ``deepgen_fast.ops.<op>.<backend's module>``, imported at first use."""
    return import_module(f"deepgen_fast.ops.{op}.{_MODULES[backend]}")
