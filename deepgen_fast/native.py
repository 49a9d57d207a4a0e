"""Loads the compiled libraries and says, for each, why it is not there when it is not."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch

_PACKAGE = Path(__file__).parent
_MISSING = "it was not built: install from source with a C++ compiler, see `deepgen-fast doctor`"


def _load_cpu() -> str | None:
    try:
        _C = import_module("deepgen_fast._C")
    except ImportError as error:
        built = any(_PACKAGE.glob("_C.*"))
        return f"the library deepgen_fast._C does not load: {error}" if built else _MISSING
    if _C.cpu_instruction_set() is None:
        return "this processor runs none of the built instruction sets: " + ", ".join(_C.built_instruction_sets())
    return None


def _load_cuda() -> str | None:
    library = next(_PACKAGE.glob("_C_cuda*.so"), None)
    if library is None:
        return "the CUDA library was not built: it needs nvcc and a CUDA build of torch"
    if not torch.version.cuda:
        return "the CUDA library is built, but this torch has no CUDA"
    if CPU_UNAVAILABLE is not None and not hasattr(torch.ops.deepgen_fast, "reparameterize_kl"):
        return "the CUDA library needs the CPU library, which declares the operators: " + CPU_UNAVAILABLE
    try:
        torch.ops.load_library(str(library))
    except OSError as error:
        return f"the CUDA library does not load: {error}"
    return None


# None when the library is loaded, else the reason why not.
CPU_UNAVAILABLE: str | None = _load_cpu()
CUDA_UNAVAILABLE: str | None = _load_cuda()


def cpu_instruction_set() -> str | None:
    """Name of the instruction set the CPU kernels run on (``avx512``, ``avx2``, ``neon``), or None."""
    if CPU_UNAVAILABLE is not None:
        return None
    _C = import_module("deepgen_fast._C")

    return str(_C.cpu_instruction_set())
