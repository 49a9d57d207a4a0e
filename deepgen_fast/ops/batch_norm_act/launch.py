"""Which launchers run: the backend's where it has the operator, else plain torch."""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from deepgen_fast.ops.batch_norm_act import native, reference
from deepgen_fast.ops.kernels import has_kernel
from deepgen_fast.ops.launchers import launchers


def launching_backend(operator: str, device_type: str, backend: str) -> str:
    """The backend, or "reference" where its library lacks the operator."""
    if backend in ("cpu", "cuda") and not has_kernel(operator, device_type):
        return "reference"
    return backend


def launcher(operator: str, input: Tensor, backend: str) -> ModuleType:
    found = launching_backend(operator, input.device.type, backend)
    if found == "triton":
        return launchers("batch_norm_act", "triton")
    return reference if found == "reference" else native
