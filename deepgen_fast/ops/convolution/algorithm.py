"""Which algorithm runs a convolution: one cost model, of shapes, dtype and kind of device alone.

- ``direct``: PyTorch's own operator.
- ``minimal``: the engine, minimal filtering F(4, taps) along each axis: fewer multiplications, but transforms.
- ``product``: one matrix product, for layers where one image is a pixel or has a few channels.

Neither the thread count nor the other layers matter, so a result depends on shapes alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch

from deepgen_fast.ops.convolution import few_channels, native, product
from deepgen_fast.ops.convolution.geometry import ENGINE_GEOMETRIES, Geometry, Shapes
from deepgen_fast.ops.kernels import has_kernel

ALGORITHMS = ("auto", "direct", "minimal", "product")

# The three kernels; forward and backward of both convolutions are among them.
CONV_TRANSPOSE2D, CONV2D, WEIGHT_GRADIENT = KERNELS = ("conv_transpose2d", "conv2d", "weight_gradient")
_OPERATORS = {CONV_TRANSPOSE2D: "conv_transpose2d", CONV2D: "conv2d", WEIGHT_GRADIENT: "conv2d_weight_gradient"}

# ---- the cost model's constants: what a step costs, in multiply-adds of the engine's micro-kernel --------------------

OUTPUTS = 4  # of a tile along an axis
TRANSFORM = 30.0  # bringing one number of an image to or from the transformed domain
WEIGHT_TRANSFORM = 40.0  # the same of a weight
DIRECT = 1.05  # one multiply-add of PyTorch's operator: what it must lose by before the engine is taken
OVERHEAD = 2e6  # of a call of the engine: thread start, blocks that are not full
FEW_CHANNELS = 4  # an image's: up to so many, the operators for few channels are taken
# Elsewhere engine and few-channel operators run where they are asked for, until a sweep was measured there. In bfloat16
# oneDNN has instructions of its own; float64 is for checks.
AUTO_DEVICES = ("cpu",)
AUTO_DTYPES = (torch.float32,)


class Choice(NamedTuple):
    """An algorithm, a sentence why, and the module of this folder whose launchers run it."""

    algorithm: str
    reason: str
    launcher: str = "reference"


def choose(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, algorithm: str, backend: str
) -> Choice:
    """The algorithm of one of the three kernels.

    Args:
        kernel: one of ``KERNELS``.
        algorithm: what the caller asked for; ``"auto"`` asks the cost model.
        backend: resolved; ``"reference"`` is PyTorch's own operator, ``"triton"`` the Triton kernels, where
            ``algorithm`` is ``"auto"``.

    Raises:
        ValueError: the algorithm asked for does not serve these operands; says why.
    """
    if torch.compiler.is_compiling():  # dynamic sizes cannot be hashed, and the compiler keeps the result anyway
        return _choose(kernel, geometry, shapes, dtype, device_type, algorithm, backend)
    return _remembered(kernel, geometry, shapes, dtype, device_type, algorithm, backend)


def _choose(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, algorithm: str, backend: str
) -> Choice:
    asked = f"algorithm={algorithm!r} was asked for"
    if algorithm == "direct":
        return Choice("direct", asked)
    if algorithm == "minimal":
        reason = minimal_unavailable(kernel, geometry, dtype, device_type, backend)
        if reason is not None:
            raise ValueError(f"algorithm='minimal' cannot run: {reason}")
        return Choice("minimal", asked, "native")
    if algorithm == "product":
        if product.serves(geometry, shapes) and dtype.is_floating_point:
            return Choice("product", asked, "product")
        reason = few_channels.unavailable(_OPERATORS[kernel], geometry, shapes, dtype, device_type, backend)
        if reason is not None:
            raise ValueError(f"algorithm='product' cannot run: {reason}")
        return Choice("product", asked, "few_channels")
    return _automatic(kernel, geometry, shapes, dtype, device_type, backend)


def _automatic(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, backend: str
) -> Choice:
    if backend == "reference":
        return Choice("direct", "backend 'reference' is PyTorch's own operator")
    if shapes.batch == 0 or shapes.small_channels == 0 or shapes.large_channels == 0:
        return Choice("direct", "there is nothing to multiply")
    if backend == "triton":
        reason = triton_unavailable(geometry, dtype)
        if reason is not None:
            return Choice("direct", reason)
        return Choice("direct", "backend 'triton' was asked for: its kernels are implicit matrix products", "triton")
    if product.serves(geometry, shapes) and dtype.is_floating_point:
        return Choice("product", "an edge layer: one image is a pixel, the other the kernel's size", "product")
    measured = device_type in AUTO_DEVICES and dtype in AUTO_DTYPES
    if measured and shapes.large_channels <= FEW_CHANNELS and geometry.engine_serves():
        operator = _OPERATORS[kernel]
        if few_channels.unavailable(operator, geometry, shapes, dtype, device_type, backend) is None:
            return Choice("product", "an image layer: one image has few channels", "few_channels")
    reason = minimal_unavailable(kernel, geometry, dtype, device_type, backend)
    if reason is not None:
        return Choice("direct", reason)
    if not measured:
        return Choice("direct", f"PyTorch's operator is taken to be the faster one in {_name(dtype)} on {device_type}")
    return _cheaper(kernel, geometry, shapes)


_remembered = lru_cache(maxsize=4096)(_choose)


def _cheaper(kernel: str, geometry: Geometry, shapes: Shapes) -> Choice:
    direct, minimal = direct_cost(geometry, shapes), minimal_cost(geometry, shapes)
    ratio = direct / minimal
    if torch.compiler.is_compiling():  # dynamic sizes cannot be written out, and nobody reads the reason
        return Choice("direct", "") if ratio <= 1 else Choice("minimal", "", "native")
    if ratio <= 1:
        return Choice(
            "direct", f"minimal filtering would cost {1 / ratio:.2f} times PyTorch's operator on {shapes} ({kernel})"
        )
    reason = f"minimal filtering costs {1 / ratio:.2f} times what PyTorch's operator does on {shapes} ({kernel})"
    return Choice("minimal", reason, "native")


# ---- the costs -------------------------------------------------------------------------------------------------------


def direct_cost(geometry: Geometry, shapes: Shapes) -> float:
    """Every position of the small image meets every tap, in every pair of channels."""
    positions = shapes.batch * shapes.small[0] * shapes.small[1]
    taps = geometry.kernel[0] * geometry.kernel[1]
    return DIRECT * positions * taps * shapes.small_channels * shapes.large_channels


def minimal_cost(geometry: Geometry, shapes: Shapes) -> float:
    """Products of the transformed tiles, the transforms of both images and of the weight, and a call's overhead.

    The three kernels do the same products; each transforms two of the three operands and transforms the third back.
    """
    rows, columns = (
        _transformed(k, s, size) for k, s, size in zip(geometry.kernel, geometry.stride, shapes.large, strict=True)
    )
    pairs = shapes.small_channels * shapes.large_channels
    numbers = shapes.batch * rows * columns
    weights = _tile_sizes(geometry.kernel[0], geometry.stride[0]) * _tile_sizes(geometry.kernel[1], geometry.stride[1])
    transforms = TRANSFORM * numbers * (shapes.small_channels + shapes.large_channels)
    return numbers * pairs + transforms + WEIGHT_TRANSFORM * weights * pairs + OVERHEAD


def _taps(kernel: int, stride: int) -> tuple[int, ...]:
    """Taps of each phase of the large image along an axis."""
    return tuple((kernel - phase + stride - 1) // stride for phase in range(stride))


def _tile_sizes(kernel: int, stride: int) -> int:
    """Transformed numbers of one tile along an axis, summed over phases: outputs + taps - 1 of each."""
    return sum(OUTPUTS + taps - 1 for taps in _taps(kernel, stride))


def _transformed(kernel: int, stride: int, large: int) -> int:
    """Transformed numbers along an axis of the large image: tiles of each phase times their size."""
    outputs = (large + stride - 1) // stride  # of the first phase, the longest
    return (outputs + OUTPUTS - 1) // OUTPUTS * _tile_sizes(kernel, stride)


# ---- what cannot run -------------------------------------------------------------------------------------------------


def minimal_unavailable(
    kernel: str, geometry: Geometry, dtype: torch.dtype, device_type: str, backend: str
) -> str | None:
    """None where the engine serves these operands, else why not."""
    if not geometry.engine_serves():
        served = ", ".join(f"({k}, {s}, {p})" for k, s, p in sorted(ENGINE_GEOMETRIES))
        return f"minimal filtering is built for (kernel, stride, padding) {served}; this is {geometry}"
    if dtype not in native.DTYPES:
        return f"minimal filtering is built for float32, float64 and bfloat16; this is {_name(dtype)}"
    if backend not in ("cpu", "cuda"):
        return f"minimal filtering is in the native libraries; this is backend {backend!r}"
    if not has_kernel(_OPERATORS[kernel], device_type):
        return f"the library that is loaded has no {_OPERATORS[kernel]} on {device_type}"
    return None


def triton_unavailable(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """None where the Triton kernels serve these operands, else why not."""
    if any(height != width for height, width in geometry):
        return f"the Triton kernels are built for the same geometry along both axes; this is {geometry}"
    return None if dtype.is_floating_point else f"the Triton kernels are built for floats; this is {_name(dtype)}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
