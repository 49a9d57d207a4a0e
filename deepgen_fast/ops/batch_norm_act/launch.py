"""Which launchers run: the backend's where it has the operator, else plain torch."""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from deepgen_fast.ops.batch_norm_act import native, reference
from deepgen_fast.ops.kernels import has_kernel
from deepgen_fast.ops.launchers import launchers


def launcher(operator: str, input: Tensor, backend: str) -> ModuleType:
    if backend in ("cpu", "cuda") and has_kernel(operator, input.device.type):
        return native
    return launchers("batch_norm_act", "triton") if backend == "triton" else reference
