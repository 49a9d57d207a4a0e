"""The launchers of an operator on a backend: modules with the same functions and signatures."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from deepgen_fast.tracing import constant_while_tracing

# Both native libraries implement the same operators; the dispatcher picks by device.
_MODULES = {"reference": "reference", "cpu": "native", "cuda": "native", "triton": "triton"}
_loaded: dict[tuple[str, str], ModuleType] = {}


@constant_while_tracing  # a tracing torch.compile really imports, where it cannot trace an import
def _load(op: str, backend: str) -> bool:
    if (op, backend) not in _loaded:
        _loaded[op, backend] = import_module(f"deepgen_fast.ops.{op}.{_MODULES[backend]}")
    return True


def launchers(op: str, backend: str) -> ModuleType:
    """The module ``deepgen_fast.ops.<op>.<backend's module>``, imported at first use."""
    found = _loaded.get((op, backend))
    if found is not None:
        return found
    _load(op, backend)
    return _loaded[op, backend]
