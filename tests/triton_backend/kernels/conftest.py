"""Fixtures of the kernel tests: the device, and outputs that show unwritten and misplaced stores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

# NumPy, which the interpreter computes with, warns where IEEE arithmetic gives inf or NaN as it should.
_EXPECTED_WARNINGS = ("overflow encountered", "invalid value encountered", "divide by zero encountered")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: needs minutes or gigabytes of address space")
    for message in _EXPECTED_WARNINGS:
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


_GUARD = 64
_SENTINEL = 0x5A
_LARGEST_GUARDED = 2**24  # larger tensors stay lazily mapped


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The CPU in the interpreter, otherwise the GPU."""
    return torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")


@pytest.fixture(autouse=True)
def guarded_outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Surround every fresh output with canary bytes and fill it with NaN.

    The interpreter does not notice a store outside a tensor, and fresh memory is often zero.
    """
    buffers: list[Tensor] = []

    def guarded(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
        count = shape.numel()
        bytes_each = torch.empty_strided((), (), dtype=dtype).element_size()
        guard = _GUARD * bytes_each
        buffer = torch.full((count * bytes_each + 2 * guard,), _SENTINEL, dtype=torch.uint8, device=device)
        buffers.append(buffer)
        buffer.guard = guard  # type: ignore[attr-defined]
        inner = buffer[guard : buffer.numel() - guard].view(dtype).view(shape)
        return inner.fill_(float("nan")) if dtype.is_floating_point else inner

    empty: Callable[..., Tensor] = torch.empty

    def guarded_empty(*size, dtype=None, device=None, memory_format=None, **rest) -> Tensor:
        shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        if memory_format is torch.channels_last:
            batch, channels, *space = shape
            return guarded_empty(batch, *space, channels, dtype=dtype, device=device, **rest).permute(0, 3, 1, 2)
        if rest or dtype is None or memory_format is not None:
            return empty(*size, dtype=dtype, device=device, memory_format=memory_format, **rest)
        if torch.Size(shape).numel() > _LARGEST_GUARDED:
            return empty(shape, dtype=dtype, device=device)
        return guarded(torch.Size(shape), dtype, torch.device(device or "cpu"))

    def guarded_empty_like(like: Tensor, dtype=None) -> Tensor:
        return guarded_empty(like.shape, dtype=dtype or like.dtype, device=like.device)

    monkeypatch.setattr(torch, "empty", guarded_empty)
    monkeypatch.setattr(torch, "empty_like", guarded_empty_like)
    yield
    for buffer in buffers:
        guard = buffer.guard  # type: ignore[attr-defined]
        edges = torch.cat((buffer[:guard], buffer[buffer.numel() - guard :]))
        assert bool((edges == _SENTINEL).all()), "a kernel stored outside its output"
