"""The launchers of an operator on a backend: modules with the same functions and signatures."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType, SimpleNamespace

import torch

from deepgen_fast.tracing import constant_while_tracing

# Both native libraries implement the same operators; the dispatcher picks by device.
_MODULES = {"reference": "reference", "cpu": "native", "cuda": "native", "triton": "triton"}

# ``<op>_<backend>``. Attributes, since torch.compile reads each when it comes to it; a dict it reads once, so that what
# is loaded while it traces would not be there.
_loaded = SimpleNamespace()


def _name(op: str, backend: str) -> str:
    return f"{op}_{backend}"


@constant_while_tracing  # a tracing torch.compile really imports, where it cannot trace an import
def _load(op: str, backend: str) -> bool:
    setattr(_loaded, _name(op, backend), import_module(f"deepgen_fast.ops.{op}.{_MODULES[backend]}"))
    return True


def launchers(op: str, backend: str) -> ModuleType:
    """The module ``deepgen_fast.ops.<op>.<backend's module>``."""
    name = _name(op, backend)
    if torch.compiler.is_compiling() or not hasattr(_loaded, name):
        _load(op, backend)
    return getattr(_loaded, name)
