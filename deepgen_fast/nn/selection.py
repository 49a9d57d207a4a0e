"""Which layers the fused operators compute: those that they are taken to compute faster than PyTorch's layers do.

Decided for convolution, batch norm and activation together, by shapes, memory formats and mode; measured on CPUs.
Layers that are left to PyTorch run as they would in the plain model, in its memory format.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from deepgen_fast.nn import batch_norm, layers, recording
from deepgen_fast.nn.fused_groups import FusedGroup
from deepgen_fast.nn.synchronized import Synchronized
from deepgen_fast.ops.autograd import needs_gradient, transforming
from deepgen_fast.ops.convolution.algorithm import CONV2D, CONV_TRANSPOSE2D, FEW_CHANNELS, KERNELS, SMALL_CALL, choose
from deepgen_fast.ops.convolution.arguments import resolved_backends
from deepgen_fast.ops.convolution.geometry import Geometry, Pair, Shapes
from deepgen_fast.ops.memory_format import strides_channels_last

# Multiply-adds of a convolution: below so many, what a fused call gains is less than what it costs beyond PyTorch's
# calls, some 50 us with batch norm, forward and backward. Edge layers gain sooner.
SMALL_LAYER = 2e7
TOO_SMALL = "so few multiplications that a fused call would take longer"

# Batch norm and activation in one pass, after a convolution by PyTorch's operator: from so many numbers on it gains,
# measured on a Zen 3 with two threads on images of 4 x 4 to 112 x 112 pixels. Without gradients it writes over its
# input, which spares fresh memory; with gradients only an activation, or the statistics of contiguous images, make a
# difference. Contiguous, each channel's pixels are a loop of their own, which pays from so many pixels on.
LEAST_NUMBERS, LEAST_NUMBERS_WITH_GRADIENTS = 1 << 19, 1 << 20
LEAST_PIXELS = 256


class Selection(NamedTuple):
    """Why PyTorch's layers run, None where the fused operator does; and the memory format that suits the latter.

    ``channels_last``: True where the operator works channels-last (Winograd filtering), None where either format is as
    good, False for that of the plain model's images.
    """

    reason: str | None
    channels_last: bool | None = False


class _Layer(NamedTuple):
    """What the selection depends on."""

    transposed: bool
    channels: Pair  # in, out
    geometry: Geometry
    output_padding: Pair
    norm: str | None  # "training" or "evaluation"
    activation: bool
    gradients: bool
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    weight_shape: tuple[int, ...]
    weight_stride: tuple[int, ...]


def too_small(layer: Any, shape: Any) -> bool:
    """Whether PyTorch computes this convolution of an image of this shape in less time than it takes to find out how
    else one might; told by what it multiplies."""
    height, width = layer.stride if layers.role(layer) is layers.CONVOLUTION else (1, 1)
    edge = min(layer.in_channels, layer.out_channels) <= FEW_CHANNELS or shape[2] == 1
    weights = layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1]
    numbers = shape[0] * shape[1] * shape[2] * shape[3]
    return numbers * weights < (SMALL_CALL if edge else SMALL_LAYER) * height * width


# For each convolution and Sequential the images (sizes, strides; mode, and whether gradients are recorded) that were
# left to PyTorch's layers.
_left: WeakKeyDictionary[nn.Module, set[tuple[Any, ...]]] = WeakKeyDictionary()
_REMEMBERED_IMAGES = 64  # of one layer


def left_before(layer: nn.Module, image: Any) -> bool:
    """Whether this layer was left to PyTorch for such an image before.

    A small convolution takes no longer than asking again. Whether the layer has been changed since is not looked at:
    its plain forward is right in any case.
    """
    if torch.compiler.is_compiling():
        return False
    images = _left.get(layer)
    if images is None or recording.active() or type(image) is not Tensor or image.layout is not torch.strided:
        return False
    return (image.shape, image.stride(), layer.training, torch.is_grad_enabled()) in images


def remember_left(layer: nn.Module, image: Any) -> None:
    if torch.compiler.is_compiling() or recording.active() or type(image) is not Tensor:
        return
    if image.layout is torch.strided:
        images = _left.setdefault(layer, set())
        if len(images) >= _REMEMBERED_IMAGES:
            images.clear()
        images.add((image.shape, image.stride(), layer.training, torch.is_grad_enabled()))


def forget_left(model: nn.Module) -> None:
    """Ask again about every layer of ``model``: others of them are accelerated now."""
    for module in model.modules():
        _left.pop(module, None)


def select(run: FusedGroup, input: Tensor, output_padding: Pair | None = None) -> Selection:
    """Whether the fused operator computes ``run`` on ``input``, which it can; on a CPU only where that is faster."""
    selection = _select_for(run, input, input.shape, input.stride(), output_padding)
    if selection.reason is not None:
        if recording.active():
            recording.note_left(run.convolution, selection.reason)
        remember_left(run.convolution, input)
    return selection


def select_after(run: FusedGroup, following: FusedGroup, input: Tensor, channels_last: bool) -> Selection:
    """:func:`select` of ``following`` for what ``run`` will make of ``input``, contiguous or channels-last."""
    shape = output_shape(run, input.shape)
    _, channels, height, width = shape
    pixels = height * width
    stride = (
        (channels * pixels, 1, channels * width, channels) if channels_last else (channels * pixels, pixels, width, 1)
    )
    return _select_for(following, input, shape, stride, None)


def _select_for(run: FusedGroup, like: Tensor, shape: Any, stride: Any, output_padding: Pair | None) -> Selection:
    if not like.is_cpu:  # elsewhere nothing was measured, and channels-last is what the kernels take
        return Selection(None, True)
    convolution, norm, activation = run
    if too_small(convolution, shape):
        return Selection(TOO_SMALL)
    if isinstance(norm, Synchronized):  # PyTorch has no layer to leave it to
        return Selection(None, True)
    transposed = layers.role(convolution) is layers.TRANSPOSED_CONVOLUTION
    weight = layers.stored(convolution, "weight")
    if output_padding is None:
        output_padding = convolution.output_padding if transposed else (0, 0)
    layer = _Layer(
        transposed,
        (convolution.in_channels, convolution.out_channels),
        _geometry(convolution),
        output_padding,
        None if norm is None else "training" if batch_norm.uses_batch(norm) else "evaluation",
        activation is not None,
        _records(run, like, weight),
        torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else like.dtype,
        tuple(shape),
        tuple(stride),
        tuple(weight.shape),
        tuple(weight.stride()),
    )
    if torch.compiler.is_compiling():  # dynamic sizes cannot be hashed, and the compiler keeps the result anyway
        return _select(layer)
    return _remembered(layer)


def _records(run: FusedGroup, input: Tensor, weight: Tensor) -> bool:
    """Whether there will be a backward; what ``explain`` watches without gradients stands for a training step."""
    convolution, norm, _ = run
    if recording.active() and convolution.training:
        return True
    affine = () if norm is None else (norm.weight, norm.bias)
    return transforming() or needs_gradient(input, weight, layers.stored(convolution, "bias"), *affine)


def _select(layer: _Layer) -> Selection:
    backend, _ = resolved_backends("auto", torch.device("cpu"))
    small, large, shapes = _shapes(layer)
    if min(*small, *large) < 1:
        return Selection("the image is too small for an output, of which PyTorch's layer says more")
    forward = CONV_TRANSPOSE2D if layer.transposed else CONV2D
    # The kernel that writes the output applies what follows, but for statistics of the batch, and for a norm that has
    # to be differentiated.
    fused = layer.activation if layer.norm is None else layer.norm == "evaluation" and not layer.gradients
    choices = [
        choose(kernel, layer.geometry, shapes, layer.dtype, "cpu", "auto", backend, fused and kernel == forward)
        for kernel in (KERNELS if layer.gradients else (forward,))
    ]
    launchers = {choice.launcher for choice in choices}
    if "native" in launchers:
        return Selection(None, True)
    if launchers != {"reference"}:
        return Selection(None, None)
    if not _nothing_to_gain(layer, large if layer.transposed else small):
        return Selection(None, False)
    return Selection(
        "PyTorch's layers are taken to be as fast" + (f": {choices[0].reason}" if choices[0].reason else "")
    )


_remembered = lru_cache(maxsize=4096)(_select)


def _geometry(convolution: Any) -> Geometry:
    padding = layers.padding_of(convolution)
    assert padding is not None  # ``layers.unsupported_reason`` came first
    return Geometry(convolution.kernel_size, convolution.stride, padding)


def _shapes(layer: _Layer) -> tuple[Pair, Pair, Shapes]:
    size = (layer.shape[2], layer.shape[3])
    if layer.transposed:
        small, large = size, layer.geometry.large_size(size, layer.output_padding)
        small_channels, large_channels = layer.channels
    else:
        small, large = layer.geometry.small_size(size), size
        large_channels, small_channels = layer.channels
    return small, large, Shapes(layer.shape[0], small_channels, large_channels, small, large)


def output_shape(run: FusedGroup, shape: Any) -> tuple[int, int, int, int]:
    """Of the run's result for an image of this shape."""
    convolution = run.convolution
    geometry = _geometry(convolution)
    size = (shape[2], shape[3])
    if layers.role(convolution) is layers.TRANSPOSED_CONVOLUTION:
        height, width = geometry.large_size(size, convolution.output_padding)
    else:
        height, width = geometry.small_size(size)
    return shape[0], convolution.out_channels, height, width


def _nothing_to_gain(layer: _Layer, output: Pair) -> bool:
    """Whether batch norm and activation in one pass gain nothing, where the convolution is PyTorch's operator."""
    if layer.norm is None or layer.dtype != torch.float32:  # no other was measured
        return True
    pixels = output[0] * output[1]
    least = LEAST_NUMBERS_WITH_GRADIENTS if layer.gradients else LEAST_NUMBERS
    if layer.shape[0] * layer.channels[1] * pixels < least:
        return True
    last = strides_channels_last(layer.shape, layer.stride) or strides_channels_last(
        layer.weight_shape, layer.weight_stride
    )
    if not last and pixels < LEAST_PIXELS:
        return True
    return layer.gradients and not (layer.activation or (layer.norm == "training" and not last))
