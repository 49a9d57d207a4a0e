"""Tensors whose first or last byte borders on memory that nobody may touch: an access past it ends the process."""

from __future__ import annotations

import ctypes
import math
import mmap
from typing import Any

import torch
from torch import Tensor

EDGES = ("end", "start")
PAGE = mmap.PAGESIZE
_PROT_NONE, _MAP_NORESERVE = 0, 0x4000
_libc = ctypes.CDLL(None, use_errno=True)


def _forbid(address: int, size: int) -> None:
    if _libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), _PROT_NONE):
        raise OSError(ctypes.get_errno(), "mprotect")


def _span(tensor: Tensor) -> int:
    """Elements from a tensor's first to its last in memory."""
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def guarded(tensor: Tensor, edge: str) -> Tensor:
    """A copy with the same strides, between two pages that cannot be read or written.

    Args:
        tensor: on the CPU, of any shape and strides; an empty one, which has no bytes, comes back as it is.
        edge: ``"end"``: the byte after the last element is out of bounds; ``"start"``: the byte before the first is.
            What lies between the elements and the other page is NaN, or the integer of all ones.
    """
    if tensor.numel() == 0:
        return tensor
    size = _span(tensor) * tensor.element_size()
    inner = -(-size // PAGE) * PAGE
    memory = mmap.mmap(-1, inner + 2 * PAGE)  # lives as long as the tensor's storage, which holds its buffer
    memory.write(b"\xff" * (inner + 2 * PAGE))
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    offset = PAGE if edge == "start" else PAGE + inner - size
    flat = torch.frombuffer(memory, dtype=tensor.dtype, count=_span(tensor), offset=offset)
    _forbid(start, PAGE)
    _forbid(start + PAGE + inner, PAGE)
    return flat.as_strided(tensor.shape, tensor.stride()).copy_(tensor.detach())


def sparse(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor of zeros of any size, of which only the pages that are touched take memory."""
    count = math.prod(shape)
    size = max(1, count * torch.empty((), dtype=dtype).element_size())
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    return torch.frombuffer(memory, dtype=dtype, count=count).view(shape)


def guarded_all(values: Any, edge: str) -> Any:
    """Every tensor of a tuple, list or dict of arguments between guard pages; the rest as it is."""
    if isinstance(values, Tensor):
        return guarded(values, edge)
    if isinstance(values, dict):
        return {name: guarded_all(value, edge) for name, value in values.items()}
    if type(values) in (tuple, list):
        return type(values)(guarded_all(value, edge) for value in values)
    return values
