"""One kernel on given operands: the algorithm is chosen, its launcher called, the result brought to PyTorch's layout.

Nothing here is recorded by autograd; see ``autograd.py``.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepgen_fast.ops.activation import NONE
from deepgen_fast.ops.batch_norm_act import launch as batch_norm
from deepgen_fast.ops.convolution import few_channels, gemm, native, reference
from deepgen_fast.ops.convolution.algorithm import CONV2D, CONV_TRANSPOSE2D, WEIGHT_GRADIENT, Choice, choose
from deepgen_fast.ops.convolution.geometry import Geometry, Pair, Shapes
from deepgen_fast.ops.launchers import launchers
from deepgen_fast.ops.memory_format import in_format, result_channels_last
from deepgen_fast.ops.rows import accumulation_dtype


class Epilogue(NamedTuple):
    """activation(convolution * scale + shift), per output channel; ``statistics`` are taken where nothing follows."""

    activation: int = NONE
    negative_slope: float = 0.0
    statistics: bool = False


PLAIN = Epilogue()

_MODULES = {"reference": reference, "native": native, "gemm": gemm, "few_channels": few_channels}


class ConvDescriptor(NamedTuple):
    """What does not depend on the operands: the geometry, and what the caller asked for.

    ``norm_backend`` is that of statistics and batch norm. It differs where "auto" means Triton: PyTorch's own
    convolutions stay, which are faster than those of Triton. ``tf32``: whether PyTorch's convolution rounds what it
    multiplies to TF32.
    """

    geometry: Geometry
    algorithm: str
    backend: str
    norm_backend: str
    tf32: bool = False

    def choice(self, kernel: str, small: Tensor, large: Tensor) -> Choice:
        return self._choose(kernel, _size(small), _size(large), small, small.shape[1], large.shape[1])

    def forward_choice(
        self, transposed: bool, image: Tensor, weight: Tensor, output_padding: Pair, fused: bool
    ) -> Choice:
        """Of a forward, before there is an output."""
        kernel = CONV_TRANSPOSE2D if transposed else CONV2D
        return self.pass_choice(kernel, transposed, image, weight, output_padding, fused)

    def pass_choice(
        self, kernel: str, transposed: bool, image: Tensor, weight: Tensor, output_padding: Pair, fused: bool = False
    ) -> Choice:
        """Of any kernel in forward or backward of a convolution of ``image``."""
        if transposed:
            small = _size(image)
            large = self.geometry.large_size(small, output_padding)
        else:
            large = _size(image)
            small = self.geometry.small_size(large)
        return self._choose(kernel, small, large, image, weight.shape[0], weight.shape[1], fused)

    def _choose(
        self, kernel: str, small: Pair, large: Pair, like: Tensor, small_channels: int, large_channels: int,
        fused: bool = False,
    ) -> Choice:  # fmt: skip
        shapes = Shapes(like.shape[0], small_channels, large_channels, small, large)
        place = (like.dtype, like.device.type)
        return choose(kernel, self.geometry, shapes, *place, self.algorithm, self.backend, fused, self.tf32)


def _size(image: Tensor) -> Pair:
    return image.shape[2], image.shape[3]


_TAKE_ONE_NUMBER = ("native", "few_channels", "triton")  # for both axes; and scale and shift as they add up
_TAKE_STATISTICS = ("native", "triton")  # while they write


def _module(choice: Choice) -> ModuleType:
    return launchers("convolution", "triton") if choice.launcher == "triton" else _MODULES[choice.launcher]


def fuses_epilogue(choice: Choice) -> bool:
    """Whether scale, shift and activation are applied while the output is written."""
    return choice.launcher in _TAKE_ONE_NUMBER


def _geometry(descriptor: ConvDescriptor, choice: Choice) -> tuple[Any, ...]:
    """Kernel, stride and padding as the launcher takes them."""
    geometry = descriptor.geometry
    return tuple(size[0] for size in geometry) if choice.launcher in _TAKE_ONE_NUMBER else tuple(geometry)


def _channel_operand(value: Tensor | None, like: Tensor, choice: Choice) -> Tensor | None:
    if value is None or choice.launcher not in _TAKE_ONE_NUMBER:
        return value
    return value.to(accumulation_dtype(like.dtype)).contiguous()


def _fused(scale: Tensor | None, epilogue: Epilogue) -> bool:
    return scale is not None or epilogue.activation != NONE


def _epilogue(epilogue: Epilogue, choice: Choice) -> Epilogue:
    return epilogue if choice.launcher in _TAKE_STATISTICS else epilogue._replace(statistics=False)


def _finished(
    output: Tensor, statistics: Tensor, last: bool, epilogue: Epilogue, descriptor: ConvDescriptor, choice: Choice
) -> tuple[Tensor, Tensor]:
    if epilogue.statistics and choice.launcher not in _TAKE_STATISTICS:
        launch = batch_norm.launcher("channel_statistics", output, descriptor.norm_backend)
        statistics = launch.channel_statistics(output)
    return in_format(output, last), statistics


def conv_transpose2d(
    small: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, output_padding: Pair,
    descriptor: ConvDescriptor, epilogue: Epilogue,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """small ``[N, A, h, w]``, weight ``[A, B, k, k]`` -> large ``[N, B, H, W]``, and its statistics."""
    choice = descriptor.forward_choice(True, small, weight, output_padding, _fused(scale, epilogue))
    scale, shift = _channel_operand(scale, small, choice), _channel_operand(shift, small, choice)
    _, stride, padding = _geometry(descriptor, choice)
    large, statistics = _module(choice).conv_transpose2d(
        small, weight, scale, shift, stride, padding, *output_padding, *_epilogue(epilogue, choice)
    )
    return _finished(large, statistics, result_channels_last(small, weight), epilogue, descriptor, choice)


def conv2d(
    large: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    descriptor: ConvDescriptor,
    epilogue: Epilogue,
) -> tuple[Tensor, Tensor]:
    """large ``[N, B, H, W]``, weight ``[A, B, k, k]`` -> small ``[N, A, h, w]``, and its statistics."""
    choice = descriptor.forward_choice(False, large, weight, (0, 0), _fused(scale, epilogue))
    scale, shift = _channel_operand(scale, large, choice), _channel_operand(shift, large, choice)
    _, stride, padding = _geometry(descriptor, choice)
    small, statistics = _module(choice).conv2d(
        large, weight, scale, shift, stride, padding, *_epilogue(epilogue, choice)
    )
    return _finished(small, statistics, result_channels_last(large, weight), epilogue, descriptor, choice)


def weight_gradient(small: Tensor, large: Tensor, descriptor: ConvDescriptor) -> Tensor:
    """small ``[N, A, h, w]`` and large ``[N, B, H, W]`` -> ``[A, B, k, k]``."""
    choice = descriptor.choice(WEIGHT_GRADIENT, small, large)
    return _module(choice).conv2d_weight_gradient(small, large, *_geometry(descriptor, choice))


def direct_backward(
    grad: Tensor, image: Tensor, weight: Tensor, transposed: bool, output_padding: Pair, descriptor: ConvDescriptor,
    needs: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None] | None:  # fmt: skip
    """Gradients of image, weight and bias by PyTorch's one operator for them, where nothing else was chosen.

    PyTorch differentiates it further. None where another algorithm is chosen for one of the gradients, asked for or
    not: what is asked for must not change what the others come out as.
    """
    for kernel in (CONV2D if transposed else CONV_TRANSPOSE2D, WEIGHT_GRADIENT):
        if descriptor.pass_choice(kernel, transposed, image, weight, output_padding).launcher != "reference":
            return None
    geometry = descriptor.geometry
    bias_sizes = [weight.shape[1 if transposed else 0]]
    return torch.ops.aten.convolution_backward(
        grad, image, weight, bias_sizes, geometry.stride, geometry.padding, (1, 1), transposed, output_padding, 1, needs
    )
