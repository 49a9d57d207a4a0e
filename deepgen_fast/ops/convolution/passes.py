"""One kernel on given operands: the algorithm is chosen, its launcher called, the result brought to PyTorch's layout.

Nothing here is recorded by autograd; see ``autograd.py``.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from deepgen_fast.ops.activation import NONE
from deepgen_fast.ops.batch_norm_act import launch as batch_norm
from deepgen_fast.ops.convolution import few_channels, native, product, reference
from deepgen_fast.ops.convolution.algorithm import CONV2D, CONV_TRANSPOSE2D, WEIGHT_GRADIENT, Choice, choose
from deepgen_fast.ops.convolution.geometry import Geometry, Pair, Shapes
from deepgen_fast.ops.memory_format import in_format, result_channels_last


class Epilogue(NamedTuple):
    """activation(convolution * scale + shift), per output channel; ``statistics`` are taken where nothing follows."""

    activation: int = NONE
    negative_slope: float = 0.0
    statistics: bool = False


PLAIN = Epilogue()


class Request(NamedTuple):
    """What does not depend on the operands: the geometry, and what the caller asked for."""

    geometry: Geometry
    algorithm: str
    backend: str

    def choice(self, kernel: str, small: Tensor, large: Tensor) -> Choice:
        return self._choose(kernel, _size(small), _size(large), small, small.shape[1], large.shape[1])

    def forward_choice(self, transposed: bool, image: Tensor, weight: Tensor, output_padding: Pair) -> Choice:
        """Of a forward, before there is an output."""
        kernel = CONV_TRANSPOSE2D if transposed else CONV2D
        return self.pass_choice(kernel, transposed, image, weight, output_padding)

    def pass_choice(self, kernel: str, transposed: bool, image: Tensor, weight: Tensor, output_padding: Pair) -> Choice:
        """Of any kernel in forward or backward of a convolution of ``image``."""
        if transposed:
            small = _size(image)
            large = self.geometry.large_size(small, output_padding)
        else:
            large = _size(image)
            small = self.geometry.small_size(large)
        return self._choose(kernel, small, large, image, weight.shape[0], weight.shape[1])

    def _choose(
        self, kernel: str, small: Pair, large: Pair, like: Tensor, small_channels: int, large_channels: int
    ) -> Choice:
        shapes = Shapes(like.shape[0], small_channels, large_channels, small, large)
        return choose(kernel, self.geometry, shapes, like.dtype, like.device.type, self.algorithm, self.backend)


def _size(image: Tensor) -> Pair:
    return image.shape[2], image.shape[3]


def _launcher(choice: Choice, geometry: Geometry) -> ModuleType:
    if choice.algorithm == "direct":
        return reference
    if choice.algorithm == "minimal":
        return native
    return product if geometry.padding == (0, 0) else few_channels  # the engine's geometries are all padded


def fuses_epilogue(choice: Choice, geometry: Geometry) -> bool:
    """Whether scale, shift and activation are applied while the output is written."""
    return _launcher(choice, geometry) in (native, few_channels)


def _stride_and_padding(request: Request, module: ModuleType) -> tuple:
    """The native operators take one number for both axes."""
    geometry = request.geometry
    if module is native or module is few_channels:
        return geometry.stride[0], geometry.padding[0]
    return geometry.stride, geometry.padding


def _own_epilogue(epilogue: Epilogue, module: ModuleType) -> Epilogue:
    """Only the engine takes statistics while it writes."""
    return epilogue if module is native else epilogue._replace(statistics=False)


def _finished(
    output: Tensor, statistics: Tensor, last: bool, epilogue: Epilogue, request: Request, module: ModuleType
) -> tuple[Tensor, Tensor]:
    if epilogue.statistics and module is not native:
        statistics = batch_norm.launcher("channel_statistics", output, request.backend).channel_statistics(output)
    return in_format(output, last), statistics


def conv_transpose2d(
    small: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, output_padding: Pair, request: Request,
    epilogue: Epilogue,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """small ``[N, A, h, w]``, weight ``[A, B, k, k]`` -> large ``[N, B, H, W]``, and its statistics."""
    choice = request.forward_choice(True, small, weight, output_padding)
    module = _launcher(choice, request.geometry)
    large, statistics = module.conv_transpose2d(
        small,
        weight,
        scale,
        shift,
        *_stride_and_padding(request, module),
        *output_padding,
        *_own_epilogue(epilogue, module),
    )
    return _finished(large, statistics, result_channels_last(small, weight), epilogue, request, module)


def conv2d(
    large: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, request: Request, epilogue: Epilogue
) -> tuple[Tensor, Tensor]:
    """large ``[N, B, H, W]``, weight ``[A, B, k, k]`` -> small ``[N, A, h, w]``, and its statistics."""
    choice = request.forward_choice(False, large, weight, (0, 0))
    module = _launcher(choice, request.geometry)
    small, statistics = module.conv2d(
        large, weight, scale, shift, *_stride_and_padding(request, module), *_own_epilogue(epilogue, module)
    )
    return _finished(small, statistics, result_channels_last(large, weight), epilogue, request, module)


def weight_gradient(small: Tensor, large: Tensor, request: Request) -> Tensor:
    """small ``[N, A, h, w]`` and large ``[N, B, H, W]`` -> ``[A, B, k, k]``."""
    choice = request.choice(WEIGHT_GRADIENT, small, large)
    kernel = request.geometry.kernel
    module = _launcher(choice, request.geometry)
    native_kernel = kernel[0] if module is native or module is few_channels else kernel
    return module.conv2d_weight_gradient(small, large, native_kernel, *_stride_and_padding(request, module))


def direct_backward(
    grad: Tensor, image: Tensor, weight: Tensor, transposed: bool, output_padding: Pair, request: Request,
    needs: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None] | None:  # fmt: skip
    """Gradients of image, weight and bias by PyTorch's one operator for them, where nothing else was chosen.

    PyTorch differentiates it further. None where another algorithm is chosen for one of the gradients, asked for or
    not: what is asked for must not change what the others come out as.
    """
    for kernel in (CONV2D if transposed else CONV_TRANSPOSE2D, WEIGHT_GRADIENT):
        if request.pass_choice(kernel, transposed, image, weight, output_padding).algorithm != "direct":
            return None
    geometry = request.geometry
    bias_sizes = [weight.shape[1 if transposed else 0]]
    return torch.ops.aten.convolution_backward(
        grad, image, weight, bias_sizes, geometry.stride, geometry.padding, (1, 1), transposed, output_padding, 1, needs
    )
