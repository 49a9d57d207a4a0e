"""Which algorithm runs a convolution: one cost model, of shapes, dtype and kind of device, and on a GPU of
whether PyTorch may use TF32.

- ``direct``: PyTorch's own operator.
- ``winograd``: the engine, Winograd filtering F(4, taps) along each axis: fewer multiplications, but transforms.
- ``gemm``: one matrix product, for layers where one image is a pixel or has a few channels.

Neither the thread count nor the other layers matter.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch

from deepgen_fast.ops.convolution import few_channels, gemm, native
from deepgen_fast.ops.convolution.geometry import ENGINE_GEOMETRIES, Geometry, Shapes
from deepgen_fast.ops.kernels import dtype_name, dtype_unavailable, has_kernel

ALGORITHMS = ("auto", "direct", "winograd", "gemm")

# The three kernels; forward and backward of both convolutions are among them.
CONV_TRANSPOSE2D, CONV2D, WEIGHT_GRADIENT = KERNELS = ("conv_transpose2d", "conv2d", "weight_gradient")
_OPERATORS = {CONV_TRANSPOSE2D: "conv_transpose2d", CONV2D: "conv2d", WEIGHT_GRADIENT: "conv2d_weight_gradient"}

# ---- the cost model's constants --------------------------------------------------------------------------------------
# Fitted to 2,189 layers on a Zen 4 with two threads, in both memory formats: batches 1 to 128, 16 to 1,024 channels,
# images of 2 to 32 pixels (``python -m benchmarks.convolution.sweep`` shows what they choose); in multiply-adds of the
# engine's micro-kernel in the weight gradient.


class Costs(NamedTuple):
    """Of one kernel; a number of an image is ``small`` or ``large`` by the image it belongs to."""

    product: float  # the engine: a multiply-add of its micro-kernel
    small: float  # bringing a number to or from the transformed domain
    large: float
    weight: float  # the same of a weight
    convert: float  # a number of an image, which may have to change its memory format on the way
    call: float  # thread start, and the way there
    direct: float  # PyTorch's operator: a multiply-add
    direct_large: float  # what else it does, by the numbers of the large image
    direct_weight: float  # by the weights
    direct_call: float


COSTS = {
    CONV2D: Costs(1.14, 10.2, 8.9, 0.0, 30.6, 2.6e6, 0.76, 38.4, 64.9, 5.8e6),
    CONV_TRANSPOSE2D: Costs(1.07, 5.9, 15.0, 0.0, 35.4, 3.1e6, 0.77, 80.7, 73.3, 6.7e6),
    WEIGHT_GRADIENT: Costs(1.00, 16.6, 0.0, 17.2, 48.4, 1.7e6, 1.00, 46.3, 93.2, 8.5e6),
}
OUTPUTS = 4  # of a tile along an axis
ROWS, COLUMNS, LANES = 12, 32, 16  # of the micro-kernel's tile, and of the transforms: what is left over is padded
# What PyTorch's operator must lose by before the engine is taken: the model is right to within a third; less so for
# few channels and stride 1, where PyTorch's operator is at its best, and for few tiles, where weights outweigh images.
# Both the kernel and the layer, forward and both gradients, must gain so much: PyTorch's one operator for both
# gradients does better than its two halves. Of those layers, 0.998 then run at no less than 0.95 of its speed.
MARGIN = 1.2
NARROW, NARROW_MARGIN = 32, 1.2
FEW_TILES, FEW_TILES_MARGIN = 9, 1.5
STRIDE_ONE_MARGIN = 1.15
AUTOGRAD = 6e6  # of a layer, in the unit above: what records the engine's passes, beyond what records PyTorch's
# Multiply-adds: below so many, PyTorch's operator is done before the choice is made.
SMALL_CALL = 5e5
FEW_CHANNELS = 4  # an image's: up to so many, the operators for few channels are taken
# Elsewhere few-channel operators run where they are asked for. In bfloat16 oneDNN has instructions of its own; float64
# is for checks.
AUTO_DEVICES = ("cpu",)
AUTO_DTYPES = (torch.float32,)
# On a GPU, in float32 without TF32, filtering took 0.3 to 0.75 of cuDNN's time in every layer measured of so many
# channels and multiply-adds (H200, ``python -m benchmarks.gpu``); in smaller ones its launches weigh more.
GPU_CHANNELS = 32
GPU_MULTIPLY_ADDS = 1e9


class Choice(NamedTuple):
    """An algorithm, a sentence why, and the module of this folder whose launchers run it."""

    algorithm: str
    reason: str
    launcher: str = "reference"


def choose(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, algorithm: str, backend: str,
    fused: bool = False, tf32: bool = False,
) -> Choice:  # fmt: skip
    """The algorithm of one of the three kernels.

    Args:
        kernel: one of ``KERNELS``.
        algorithm: what the caller asked for; ``"auto"`` asks the cost model.
        backend: resolved; ``"reference"`` is PyTorch's own operator, ``"triton"`` the Triton kernels, where
            ``algorithm`` is ``"auto"``.
        fused: an activation or a norm is applied while the output is written; PyTorch's operator needs a pass for it.
        tf32: PyTorch's operator rounds what it multiplies to TF32.

    Raises:
        ValueError: the algorithm asked for does not serve these operands; says why.
    """
    if torch.compiler.is_compiling():  # dynamic sizes cannot be hashed, and the compiler keeps the result anyway
        return _choose(kernel, geometry, shapes, dtype, device_type, algorithm, backend, fused, tf32)
    return _remembered(kernel, geometry, shapes, dtype, device_type, algorithm, backend, fused, tf32)


def _choose(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, algorithm: str, backend: str,
    fused: bool, tf32: bool,
) -> Choice:  # fmt: skip
    asked = f"algorithm={algorithm!r} was asked for"
    if algorithm == "direct":
        return Choice("direct", asked)
    if algorithm == "winograd":
        reason = winograd_unsupported_reason(kernel, geometry, dtype, device_type, backend)
        if reason is not None:
            raise ValueError(f"algorithm='winograd' cannot run: {reason}")
        return Choice("winograd", asked, "native")
    if algorithm == "gemm":
        if gemm.serves(geometry, shapes) and dtype.is_floating_point:
            return Choice("gemm", asked, "gemm")
        reason = few_channels.unavailable(_OPERATORS[kernel], geometry, shapes, dtype, device_type, backend)
        if reason is not None:
            raise ValueError(f"algorithm='gemm' cannot run: {reason}")
        return Choice("gemm", asked, "few_channels")
    return _automatic(kernel, geometry, shapes, dtype, device_type, backend, fused, tf32)


def _automatic(
    kernel: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, backend: str, fused: bool,
    tf32: bool,
) -> Choice:  # fmt: skip
    if backend == "reference":
        return Choice("direct", "backend 'reference' is PyTorch's own operator")
    if shapes.batch == 0 or shapes.small_channels == 0 or shapes.large_channels == 0:
        return Choice("direct", "there is nothing to multiply")
    if backend == "triton":
        reason = triton_unavailable(geometry, dtype)
        if reason is not None:
            return Choice("direct", reason)
        return Choice("direct", "backend 'triton' was asked for: its kernels are implicit matrix products", "triton")
    if device_type in AUTO_DEVICES and multiply_adds(geometry, shapes) <= SMALL_CALL:
        return Choice("direct", "there is little to multiply")
    if gemm.serves(geometry, shapes) and dtype.is_floating_point:
        return Choice("gemm", "an edge layer: one image is a pixel, the other the kernel's size", "gemm")
    measured = device_type in AUTO_DEVICES and dtype in AUTO_DTYPES
    gains = kernel != CONV2D or fused  # oneDNN is good at the convolution itself
    if measured and gains and shapes.large_channels <= FEW_CHANNELS and geometry.engine_serves():
        operator = _OPERATORS[kernel]
        if few_channels.unavailable(operator, geometry, shapes, dtype, device_type, backend) is None:
            return Choice("gemm", "an image layer: one image has few channels", "few_channels")
    reason = winograd_unsupported_reason(kernel, geometry, dtype, device_type, backend)
    if reason is not None:
        return Choice("direct", reason)
    if device_type == "cuda" and dtype in AUTO_DTYPES:
        return _on_gpu(geometry, shapes, tf32)
    if not measured:
        return Choice(
            "direct", f"PyTorch's operator is taken to be the faster one in {dtype_name(dtype)} on {device_type}"
        )
    return _cheaper(kernel, geometry, shapes)


_remembered = lru_cache(maxsize=4096)(_choose)


def _on_gpu(geometry: Geometry, shapes: Shapes, tf32: bool) -> Choice:
    if tf32:
        return Choice("direct", "PyTorch's operator may use TF32 here, which is faster and less exact")
    if min(shapes.small_channels, shapes.large_channels) < GPU_CHANNELS:
        return Choice("direct", f"Winograd filtering is taken for {GPU_CHANNELS} channels and more on a GPU")
    if multiply_adds(geometry, shapes) < GPU_MULTIPLY_ADDS:
        return Choice("direct", "there is little to multiply")
    return Choice(
        "winograd", "float32 without TF32 on a GPU: Winograd filtering was faster in all such layers", "native"
    )


def _cheaper(kernel: str, geometry: Geometry, shapes: Shapes) -> Choice:
    direct, winograd = direct_cost(kernel, geometry, shapes), winograd_cost(kernel, geometry, shapes)
    layer_direct = sum(direct_cost(one, geometry, shapes) for one in KERNELS)
    layer_winograd = sum(winograd_cost(one, geometry, shapes) for one in KERNELS) + AUTOGRAD
    layer = layer_direct / layer_winograd
    ratio, least = min(direct / winograd, layer), margin(shapes, geometry)
    if torch.compiler.is_compiling():  # dynamic sizes cannot be written out, and nobody reads the reason
        return Choice("direct", "") if ratio <= least else Choice("winograd", "", "native")
    taken = (
        f"is taken to cost {winograd / direct:.2f} times what PyTorch's operator does on {shapes} ({kernel}), "
        f"and {1 / layer:.2f} times in forward and gradients together"
    )
    if ratio <= least:
        return Choice("direct", f"Winograd filtering {taken}; the limit is {1 / least:.2f}")
    return Choice("winograd", f"Winograd filtering {taken}", "native")


# ---- the costs -------------------------------------------------------------------------------------------------------


def multiply_adds(geometry: Geometry, shapes: Shapes) -> int:
    """Of the direct algorithm: every position of the small image meets every tap, in every pair of channels."""
    taps = geometry.kernel[0] * geometry.kernel[1]
    return shapes.batch * shapes.small[0] * shapes.small[1] * taps * shapes.small_channels * shapes.large_channels


def direct_cost(kernel: str, geometry: Geometry, shapes: Shapes) -> float:
    """Every position of the small image meets every tap, in every pair of channels."""
    costs, batch = COSTS[kernel], shapes.batch
    weights = geometry.kernel[0] * geometry.kernel[1] * shapes.small_channels * shapes.large_channels
    multiply_adds = batch * shapes.small[0] * shapes.small[1] * weights
    large = batch * shapes.large[0] * shapes.large[1] * shapes.large_channels
    return costs.direct * multiply_adds + costs.direct_large * large + costs.direct_weight * weights + costs.direct_call


def winograd_cost(kernel: str, geometry: Geometry, shapes: Shapes) -> float:
    """Products of the transformed tiles, the transforms of both images and of the weight, and a call's overhead.

    The three kernels do the same products; each transforms two of the three operands and transforms the third back.
    """
    costs, tiles, weights = COSTS[kernel], tiles_of(geometry, shapes), _weights_a_pair(geometry)
    small, large = shapes.small_channels, shapes.large_channels
    if kernel == WEIGHT_GRADIENT:  # the sum runs over the tiles
        products = weights * tiles * _padded(small, ROWS) * _padded(large, COLUMNS)
    elif kernel == CONV_TRANSPOSE2D:
        products = weights * _padded(tiles, ROWS) * small * _padded(large, COLUMNS)
    else:
        products = weights * _padded(tiles, ROWS) * large * _padded(small, COLUMNS)
    images = weights * tiles * (costs.small * _padded(small, LANES) + costs.large * _padded(large, LANES))
    numbers = small * shapes.small[0] * shapes.small[1] + large * shapes.large[0] * shapes.large[1]
    convert = costs.convert * shapes.batch * numbers
    return costs.product * products + images + costs.weight * weights * small * large + convert + costs.call


def margin(shapes: Shapes, geometry: Geometry) -> float:
    """How many times the engine's cost PyTorch's operator must cost."""
    narrow = NARROW_MARGIN if min(shapes.small_channels, shapes.large_channels) <= NARROW else 1.0
    few_tiles = FEW_TILES_MARGIN if tiles_of(geometry, shapes) <= FEW_TILES else 1.0
    stride_one = STRIDE_ONE_MARGIN if geometry.stride == (1, 1) else 1.0
    return MARGIN * narrow * few_tiles * stride_one


def _padded(number: int, to: int) -> int:
    return (number + to - 1) // to * to


def _taps(kernel: int, stride: int) -> tuple[int, ...]:
    """Taps of each phase of the large image along an axis."""
    return tuple((kernel - phase + stride - 1) // stride for phase in range(stride))


def _weights_a_pair(geometry: Geometry) -> int:
    """Transformed weights of a pair of channels, so products of a tile: outputs + taps - 1 along each axis, over all
    phases."""
    height, width = (
        sum(OUTPUTS + taps - 1 for taps in _taps(kernel, stride))
        for kernel, stride in zip(geometry.kernel, geometry.stride, strict=True)
    )
    return height * width


def tiles_of(geometry: Geometry, shapes: Shapes) -> int:
    """Tiles of the large image, of one phase each."""
    rows, columns = (
        (size + stride * OUTPUTS - 1) // (stride * OUTPUTS)
        for size, stride in zip(shapes.large, geometry.stride, strict=True)
    )
    return shapes.batch * rows * columns


# ---- what cannot run -------------------------------------------------------------------------------------------------


def winograd_unsupported_reason(
    kernel: str, geometry: Geometry, dtype: torch.dtype, device_type: str, backend: str
) -> str | None:
    """None where the engine serves these operands, else why not."""
    if not geometry.engine_serves():
        served = ", ".join(f"({k}, {s}, {p})" for k, s, p in sorted(ENGINE_GEOMETRIES))
        return f"Winograd filtering is built for (kernel, stride, padding) {served}; this is {geometry}"
    if backend not in ("cpu", "cuda"):
        return f"Winograd filtering is in the native libraries; this is backend {backend!r}"
    if not has_kernel(_OPERATORS[kernel], device_type):
        return f"the library that is loaded has no {_OPERATORS[kernel]} on {device_type}"
    return dtype_unavailable("Winograd filtering", dtype, native.DTYPES[device_type], device_type)


def triton_unavailable(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """None where the Triton kernels serve these operands, else why not."""
    if any(height != width for height, width in geometry):
        return f"the Triton kernels are built for the same geometry along both axes; this is {geometry}"
    return None if dtype.is_floating_point else f"the Triton kernels are built for floats; this is {dtype_name(dtype)}"
