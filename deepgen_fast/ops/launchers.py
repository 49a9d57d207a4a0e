"""The launchers of an operator on a backend: modules with the same functions and signatures."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import torch

# Both native libraries implement the same operators; the dispatcher picks by device.
_MODULES = {"reference": "reference", "cpu": "native", "cuda": "native", "triton": "triton"}
_loaded: dict[tuple[str, str], ModuleType] = {}


@torch.compiler.assume_constant_result  # so a tracing torch.compile really imports, where it cannot trace an import
def _load(op: str, backend: str) -> bool:
    if (op, backend) not in _loaded:
        _loaded[op, backend] = import_module(f"deepgen_fast.ops.{op}.{_MODULES[backend]}")
    return True


def launchers(op: str, backend: str) -> ModuleType:
    """The module ``deepgen_fast.ops.<op>.<backend's module>``, imported at first use."""
    _load(op, backend)
    return _loaded[op, backend]
