"""Which backend runs: the ``auto`` table, and why an explicit choice cannot run."""

from __future__ import annotations

import importlib.util
from functools import cache, lru_cache

import torch

from deepgen_fast import native
from deepgen_fast.tracing import constant_while_tracing

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
    """Resolve ``backend`` for tensors on ``device``.

    Raises:
        ValueError: for a name that is not a backend, or a backend that does not serve this device.
        RuntimeError: for a backend that is not available here; says why and what to do.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(map(repr, BACKENDS))}, got {backend!r}")
    device_type = device.type
    if backend in ("cpu", "cuda") and device_type != backend:
        raise ValueError(f"backend={backend!r} needs tensors on a {backend} device, got tensors on {device}")
    if backend == "triton" and device_type == "cpu" and not _triton_interprets():
        raise ValueError(
            "backend='triton' needs tensors on a GPU, got tensors on cpu "
            "(set TRITON_INTERPRET=1 before importing to run the interpreter)"
        )
    return _resolve(backend, device_type)


@constant_while_tracing  # a graph depends on the choice, not on how it is made
def _resolve(backend: str, device_type: str) -> str:
    return _choose(backend, device_type)


def _triton_interprets() -> bool:
    from os import environ

    return environ.get("TRITON_INTERPRET", "0") == "1"
