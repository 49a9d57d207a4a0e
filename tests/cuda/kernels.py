"""One way to call the CUDA launchers, emulated or on a GPU, with CPU tensors in and out."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from simt import build
from torch import Tensor


def why_no_emulation() -> str | None:
    """None where the emulator can be compiled."""
    return None if build.compiler() else "no C++ compiler, so no emulated kernels"


def why_no_gpu() -> str | None:
    """None where the built CUDA library can run."""
    if not torch.cuda.is_available():
        return "no GPU: the emulated kernels are tested, the machine code is not"
    from deepgen_fast import backends

    return backends.unavailable("cuda")


def is_channels_last(tensor: Tensor) -> bool:
    """Whether the channels of each pixel lie side by side."""
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def shifted(tensor: Tensor) -> Tensor:
    """A dense copy that starts one element past an aligned address, so that wide accesses are not allowed."""
    room = torch.empty(tensor.numel() + 1, dtype=tensor.dtype, device=tensor.device)[1:]
    if is_channels_last(tensor):
        return room.view(tensor.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2).copy_(tensor)
    return room.view(tensor.shape).copy_(tensor)


@dataclass
class Kernels:
    """The launchers of one backend; ``controls`` is the emulator's, and None on a GPU."""

    namespace: Any
    device: str
    controls: ctypes.CDLL | None

    def __call__(self, op: str, *args: Any, misaligned: bool = False) -> list[Tensor]:
        """Call an operator; always a list, on the CPU."""

        def place(arg: Any) -> Any:
            if not isinstance(arg, Tensor):
                return arg
            arg = (arg if is_channels_last(arg) else arg.contiguous()).to(self.device)
            return shifted(arg) if misaligned and arg.dim() else arg

        results = getattr(self.namespace, op)(*map(place, args))
        return [result.cpu() for result in (results if isinstance(results, tuple | list) else [results])]


def emulated_kernels() -> Kernels:
    """The kernels compiled for the CPU against the SIMT emulator."""
    controls = build.load()
    return Kernels(torch.ops.deepgen_fast_simt, "cpu", controls)


def gpu_kernels() -> Kernels:
    """The product's library on the current GPU."""
    return Kernels(torch.ops.deepgen_fast, "cuda", None)
