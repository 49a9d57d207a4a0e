"""Loads the compiled libraries and says, for each, why it is not there when it is not."""

from __future__ import annotations

import os
import re
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch

from deepgen_fast import installation

_PACKAGE = Path(__file__).parent
_OLDEST_TORCH = (2, 10)


def _check_torch(version: str) -> None:
    """The libraries and the operators' declarations are written for the stable ABI of torch 2.10."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < _OLDEST_TORCH:
        oldest = ".".join(map(str, _OLDEST_TORCH))
        raise ImportError(f"deepgen_fast needs torch >= {oldest}, found torch {version}: pip install 'torch>={oldest}'")


_check_torch(torch.__version__)


def _not_there() -> str:
    """Why there is no library that this Python could import."""
    if reason := installation.recorded_reason(installation.CPU_RECORD):
        return f"it was not built: {reason}"
    for library in _PACKAGE.glob("_C.*"):
        if library.suffix in (".so", ".pyd"):
            return f"the library there is, {library.name}, was built for another Python"
    return "it was not built"


def _load_cpu() -> str | None:
    try:
        _C = import_module("deepgen_fast._C")
    except ImportError as error:
        built = any((_PACKAGE / f"_C{suffix}").exists() for suffix in EXTENSION_SUFFIXES)
        return f"the library deepgen_fast._C does not load: {error}" if built else _not_there()
    if _C.cpu_instruction_set() is None:
        sets = ", ".join(_C.built_instruction_sets())
        if forced := os.environ.get("DEEPGEN_FAST_ISA"):
            return (
                f"DEEPGEN_FAST_ISA={forced} is no instruction set that is built ({sets}) and that this processor runs"
            )
        return f"this processor runs none of the built instruction sets: {sets}"
    return None


def _load_cuda() -> str | None:
    library = next(_PACKAGE.glob("_C_cuda*.so"), None)
    if library is None:
        if reason := installation.recorded_reason(installation.CUDA_RECORD):
            return f"the CUDA library was not built: {reason}"
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
