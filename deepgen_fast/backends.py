"""Which backend runs: the ``auto`` table, and why an explicit choice cannot run."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import torch

from deepgen_fast import native
from deepgen_fast.tracing import constant_while_tracing, exporting

BACKENDS = ("auto", "reference", "cpu", "cuda", "triton")

# What `auto` takes for tensors on each device: the first that is available. Every other device runs the reference.
AUTO = {"cpu": ("cpu", "reference"), "cuda": ("cuda", "triton", "reference")}


@lru_cache(maxsize=1)
def _triton_unavailable() -> str | None:
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed: pip install triton"
    return None


def unavailable(backend: str) -> str | None:
    """None when ``backend`` is loaded, else the reason why it is not."""
    if backend == "cpu":
        return native.CPU_UNAVAILABLE
    if backend == "cuda":
        return native.CUDA_UNAVAILABLE
    return _triton_unavailable() if backend == "triton" else None


def availability() -> dict[str, tuple[bool, str]]:
    """``{backend: (available, reason when not)}`` for every backend but ``auto``."""
    reasons = {backend: unavailable(backend) for backend in BACKENDS[1:]}
    return {backend: (reason is None, reason or "") for backend, reason in reasons.items()}


@cache
def _choose(backend: str, device_type: str) -> str:
    if backend == "auto":
        return next((b for b in AUTO.get(device_type, ()) if unavailable(b) is None), "reference")
    reason = unavailable(backend)
    if reason is not None:
        raise RuntimeError(f"backend={backend!r} cannot run: {reason}")
    return backend


def choose(backend: str, device: torch.device) -> str:
    """Resolve ``backend`` for tensors on ``device``; the reference where a program is recorded to run elsewhere.

    Where ``auto`` finds none of the fused backends of a device, the first call in a process warns, with the reason.

    Raises:
        ValueError: for a name that is not a backend, or a backend that does not serve this device.
        RuntimeError: for a backend that is not available here; says why and what to do.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(map(repr, BACKENDS))}, got {backend!r}")
    if exporting():
        return "reference"
    device_type = device.type
    if backend in ("cpu", "cuda") and device_type != backend:
        raise ValueError(f"backend={backend!r} needs tensors on a {backend} device, got tensors on {device}")
    if backend == "triton" and device_type == "cpu" and not _triton_interprets():
        raise ValueError(
            "backend='triton' needs tensors on a GPU, got tensors on cpu "
            "(set TRITON_INTERPRET=1 before importing to run the interpreter)"
        )
    chosen = _resolve(backend, device_type)
    if chosen == "reference" and backend == "auto" and device_type in AUTO:
        _warn_once(device_type)
    return chosen


@constant_while_tracing  # a graph depends on the choice, not on how it is made
def _resolve(backend: str, device_type: str) -> str:
    return _choose(backend, device_type)


_warns = True


@constant_while_tracing  # a warning is no part of a graph
def _warn_once(device_type: str) -> bool:
    global _warns
    if _warns:
        _warns = False
        missing = "; ".join(f"{b}: {reason}" for b in AUTO[device_type] if (reason := unavailable(b)))
        warnings.warn(
            f"deepgen_fast: plain PyTorch runs in place of the fused {device_type} kernels ({missing}). "
            "print(deepgen_fast.doctor()) says what to do",
            stacklevel=_outside(),
        )
    return True


def _outside() -> int:
    """``stacklevel`` of the user's line: the last that is neither in this package nor in torch."""
    ours, level, frame = tuple(str(Path(module).parent) for module in (__file__, torch.__file__)), 1, sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(ours):
        level, frame = level + 1, frame.f_back
    return level


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """A report on what would run is no call of an operator: it neither warns nor keeps one from warning."""
    global _warns
    before, _warns = _warns, False
    try:
        yield
    finally:
        _warns = before


def _triton_interprets() -> bool:
    from os import environ

    return environ.get("TRITON_INTERPRET", "0") == "1"
