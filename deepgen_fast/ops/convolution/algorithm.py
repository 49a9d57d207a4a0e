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
ENGINE_AUTO_DEVICES = ("cpu",)  # elsewhere the engine runs where it is asked for, until a sweep was measured there
ENGINE_AUTO_DTYPES = (torch.float32,)  # oneDNN has instructions for bfloat16; float64 is for checks


class Choice(NamedTuple):
    """An algorithm, and a sentence why."""

    algorithm: str
    reason: str


def choose(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, algorithm: str, backend: str
) -> Choice:
    """The algorithm of one of the three kernels.

    Args:
        kernel: one of ``KERNELS``.
        algorithm: what the caller asked for; ``"auto"`` asks the cost model.
        backend: resolved; ``"reference"`` is always PyTorch's own operator where ``algorithm`` is ``"auto"``.

    Raises:
        ValueError: the algorithm asked for does not serve these operands; says why.
    """
    if torch.compiler.is_compiling():  # dynamic sizes cannot be hashed, and the compiler keeps the result anyway
        return _choose(kernel, geometry, shapes, dtype, device_type, algorithm, backend)
    return _remembered(kernel, geometry, shapes, dtype, device_type, algorithm, backend)


def _choose(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, algorithm: str, backend: str
) -> Choice:
    if algorithm == "direct":
        return Choice("direct", "algorithm='direct' was asked for")
    refuse = {
        "minimal": lambda: minimal_unavailable(kernel, geometry, dtype, device_type, backend),
        "product": lambda: product_unavailable(kernel, geometry, shapes, dtype, device_type, backend),
    }
    if algorithm in refuse:
        reason = refuse[algorithm]()
        if reason is not None:
            raise ValueError(f"algorithm={algorithm!r} cannot run: {reason}")
        return Choice(algorithm, f"algorithm={algorithm!r} was asked for")
    if backend == "reference":
        return Choice("direct", "backend 'reference' is PyTorch's own operator")
    if shapes.batch == 0 or 0 in (shapes.small_channels, shapes.large_channels):
        return Choice("direct", "there is nothing to multiply")
    reason = refuse["product"]()
    if reason is None:
        return Choice("product", "an edge layer: one image is a pixel, or has few channels")
    reason = refuse["minimal"]()
    if reason is not None:
        return Choice("direct", reason)
    if device_type not in ENGINE_AUTO_DEVICES or dtype not in ENGINE_AUTO_DTYPES:
        return Choice("direct", f"PyTorch's operator is the faster one in {_name(dtype)} on {device_type}")
    return _cheaper(kernel, geometry, shapes)


_remembered = lru_cache(maxsize=4096)(_choose)


def _cheaper(kernel: str, geometry: Geometry, shapes: Shapes) -> Choice:
    direct, minimal = direct_cost(geometry, shapes), minimal_cost(geometry, shapes)
    ratio = direct / minimal
    if torch.compiler.is_compiling():  # dynamic sizes cannot be written out, and nobody reads the reason
        return Choice("direct" if ratio <= 1 else "minimal", "")
    if ratio <= 1:
        return Choice(
            "direct", f"minimal filtering would cost {1 / ratio:.2f} times PyTorch's operator on {shapes} ({kernel})"
        )
    return Choice(
        "minimal", f"minimal filtering costs {1 / ratio:.2f} times what PyTorch's operator does on {shapes} ({kernel})"
    )


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


def product_unavailable(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, backend: str
) -> str | None:
    """None where one matrix product does it, else why not."""
    if product.serves(geometry, shapes):
        return None if dtype.is_floating_point else f"a matrix product needs a floating dtype; this is {_name(dtype)}"
    return few_channels.unavailable(_OPERATORS[kernel], geometry, shapes, dtype, device_type, backend)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
