"""Single transposed convolutions, each pass: PyTorch's operator, Winograd filtering and the Triton kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf
from benchmarks.convolution.layers import Layer
from benchmarks.gpu import timing

DCGAN = (Layer(64, 1024, 512, 4), Layer(64, 512, 256, 8), Layer(64, 256, 128, 16), Layer(64, 128, 3, 32))
# In float32, where filtering can be chosen: down to the layers for which it is not.
MORE = (
    Layer(16, 512, 256, 8),
    Layer(4, 512, 256, 8),
    Layer(128, 256, 128, 16),
    Layer(64, 128, 64, 16),
    Layer(64, 64, 64, 16),
    Layer(64, 64, 32, 32),
    Layer(16, 128, 64, 8),
    Layer(64, 256, 256, 16, 3, 1, 1),
    Layer(64, 256, 128, 16, 5, 2, 2, 1),
    Layer(64, 256, 128, 16, 3, 2, 1, 1),
)
CALLS = 5
COLUMNS = ("PyTorch, contiguous", "PyTorch, channels-last", "triton", "winograd")
# Of the operands; TF32 or not.
PRECISIONS = {"float32": (torch.float32, False), "TF32": (torch.float32, True), "bfloat16": (torch.bfloat16, False)}
FORWARD, BACKWARD = "forward", "forward + backward"


def set_tf32(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def _functions(
    layer: Layer, precision: str
) -> dict[str, tuple[Callable[[Tensor, Tensor], Tensor], torch.memory_format]]:
    """Each candidate, and the memory format it is given."""

    def ours(**options: str) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, weight: dgf.conv_transpose2d(x, weight, **sizes, **options)

    sizes: dict[str, Any] = {
        "stride": layer.stride, "padding": layer.padding, "output_padding": layer.output_padding
    }  # fmt: skip
    plain = lambda x, weight: F.conv_transpose2d(x, weight, **sizes)  # noqa: E731
    functions = {
        "PyTorch, contiguous": (plain, torch.contiguous_format),
        "PyTorch, channels-last": (plain, torch.channels_last),
        "triton": (ours(backend="triton"), torch.channels_last),
    }
    if precision == "float32":
        functions["winograd"] = (ours(algorithm="winograd", backend="cuda"), torch.channels_last)
    return functions


def _steps(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, mode: str) -> Callable[[], object]:
    def forward() -> object:
        with torch.no_grad():
            return function(x, weight)

    def both() -> object:
        output = function(x, weight)
        return torch.autograd.grad(output, (x, weight), grad)

    grad = torch.randn_like(forward())  # type: ignore[call-overload]
    return forward if mode == FORWARD else both


def rows() -> Iterator[dict[str, Any]]:
    """One row a layer, mode and precision."""
    for precision, (dtype, tf32) in PRECISIONS.items():
        set_tf32(tf32)
        for layer in DCGAN + MORE if precision == "float32" else DCGAN:
            batch, inputs, outputs, size, kernel, *_ = layer
            for mode in (FORWARD, BACKWARD):
                steps = {}
                for name, (function, memory) in _functions(layer, precision).items():
                    x = torch.randn(batch, inputs, size, size, device=timing.DEVICE, dtype=dtype).relu()
                    weight = 0.02 * torch.randn(inputs, outputs, kernel, kernel, device=timing.DEVICE, dtype=dtype)
                    x, weight = (t.contiguous(memory_format=memory).requires_grad_() for t in (x, weight))
                    steps[name] = [_steps(function, x, weight, mode)] * CALLS
                device, _ = timing.measure(steps)
                best = min(times.median for name, times in device.items() if name.startswith("PyTorch"))
                work = 2 * layer.multiply_adds * (1 if mode == FORWARD else 3)
                row: dict[str, Any] = {"precision": precision, "layer": str(layer), "pass": mode}
                row |= {name: str(device[name]) if name in device else "" for name in COLUMNS}
                row["PyTorch's TFLOP/s"] = f"{work / best / 1e6:.1f}"
                row |= {
                    f"over PyTorch, {name}": f"x{best / device[name].median:.2f}" if name in device else ""
                    for name in ("triton", "winograd")
                }
                yield row
    set_tf32(False)
