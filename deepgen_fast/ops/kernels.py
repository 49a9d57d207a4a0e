"""What the loaded libraries implement: a library that was built earlier may lack an operator."""

from __future__ import annotations

from functools import cache

import torch

from deepgen_fast.tracing import constant_while_tracing

_DISPATCH_KEYS = {"cpu": "CPU", "cuda": "CUDA"}


@constant_while_tracing  # a graph depends on the answer, not on how it is found
def has_kernel(operator: str, device_type: str) -> bool:
    """Whether a loaded library implements ``deepgen_fast::<operator>`` on this kind of device."""
    return _has_kernel(operator, device_type)


@cache
def _has_kernel(operator: str, device_type: str) -> bool:
    key = _DISPATCH_KEYS.get(device_type)
    if key is None or not hasattr(torch.ops.deepgen_fast, operator):
        return False
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"deepgen_fast::{operator}", key)


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def dtype_unavailable(what: str, dtype: torch.dtype, served: tuple[torch.dtype, ...], device_type: str) -> str | None:
    """None where ``what`` is built for this dtype, else what it is built for."""
    if dtype in served:
        return None
    return f"{what}: on {device_type} it is built for {', '.join(map(dtype_name, served))}; this is {dtype_name(dtype)}"
