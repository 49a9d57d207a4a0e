"""The three mutually recursive autograd Functions: each one's backward is made of the other two.

Their backward, of any order, honors ``needs_input_grad`` and runs on the kernels that the cost model chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.activation import NONE, gradient_from_argument, gradient_from_kept, kept_for_backward
from deepgen_fast.ops.autograd import apply_function, mapped, mapped_by_engine
from deepgen_fast.ops.convolution import dispatch, reference
from deepgen_fast.ops.convolution.dispatch import PLAIN, ConvDescriptor, Epilogue
from deepgen_fast.ops.convolution.geometry import Pair
from deepgen_fast.ops.memory_format import in_format, result_channels_last
from deepgen_fast.ops.vmap import merge_batch, split_batch


def _apply(function: type[torch.autograd.Function], *args: Any) -> Any:
    """In a backward: recorded where that is asked for. torch.compile records none, and traces the kernels."""
    return function.forward(*args) if torch.compiler.is_compiling() else apply_function(function, *args)


def _conv_transpose2d(small: Tensor, weight: Tensor, output_padding: Pair, descriptor: ConvDescriptor) -> Tensor:
    if mapped_by_engine(small, weight):
        _, stride, padding = descriptor.geometry
        return F.conv_transpose2d(small, weight, None, stride, padding, output_padding)
    return _apply(ConvTranspose2d, small, weight, None, output_padding, descriptor, PLAIN)[0]


def _conv2d(large: Tensor, weight: Tensor, descriptor: ConvDescriptor) -> Tensor:
    if mapped_by_engine(large, weight):
        return F.conv2d(large, weight, None, descriptor.geometry.stride, descriptor.geometry.padding)
    return _apply(Conv2d, large, weight, None, descriptor, PLAIN)[0]


def _weight_gradient(small: Tensor, large: Tensor, descriptor: ConvDescriptor) -> Tensor:
    if mapped_by_engine(small, large):
        return reference.conv2d_weight_gradient(small, large, *descriptor.geometry)
    return _apply(WeightGradient, small, large, descriptor)


class _Autocast:
    """The backward's kernels take the dtypes they are given, whatever autocast says where backward was called."""

    def __init__(self, device_type: str) -> None:
        self.off = torch.autocast(device_type, enabled=False) if torch.is_autocast_enabled(device_type) else None

    def __enter__(self) -> None:
        if self.off is not None:
            self.off.__enter__()

    def __exit__(self, *exception: Any) -> None:
        if self.off is not None:
            self.off.__exit__(*exception)


def _convolution_context(
    ctx: Any,
    image: Tensor,
    weight: Tensor,
    descriptor: ConvDescriptor,
    epilogue: Epilogue,
    output: tuple[Tensor, Tensor],
) -> None:
    ctx.descriptor, ctx.epilogue = descriptor, epilogue
    ctx.save_for_backward(image, weight, kept_for_backward(output[0], epilogue.activation))
    ctx.mark_non_differentiable(output[1])


def _convolution_backward(ctx: Any, grad: Tensor, transposed: bool) -> tuple[Tensor | None, ...]:
    """Gradients of image, weight and bias."""
    image, weight, kept = ctx.saved_tensors
    descriptor = ctx.descriptor
    need_image, need_weight, need_bias = needs = tuple(ctx.needs_input_grad[:3])
    with _Autocast(grad.device.type):
        if kept is not None:
            grad = gradient_from_kept(grad, kept, ctx.epilogue.activation, ctx.epilogue.negative_slope)
        output_padding = ctx.output_padding if transposed else (0, 0)
        direct = dispatch.direct_backward(grad, image, weight, transposed, output_padding, descriptor, needs)
        if direct is not None:
            return direct
        grad_image = grad_weight = None
        # Once for both kernels below, which work channels-last; an image of few channels is cheap to rearrange, what
        # would be made of it is not.
        if not mapped(grad):  # vmap knows no memory formats
            grad = in_format(grad, result_channels_last(image, weight))
        if transposed:
            grad_image = _conv2d(grad, weight, descriptor) if need_image else None
            grad_weight = _weight_gradient(image, grad, descriptor) if need_weight else None
        else:
            padding = descriptor.geometry.output_padding(_size(grad), _size(image))
            grad_image = _conv_transpose2d(grad, weight, padding, descriptor) if need_image else None
            grad_weight = _weight_gradient(grad, image, descriptor) if need_weight else None
        return grad_image, grad_weight, grad.sum((0, 2, 3)) if need_bias else None


def _size(image: Tensor) -> Pair:
    return image.shape[2], image.shape[3]


def _convolution_tangent(
    convolve: Callable[..., Tensor], inputs: tuple[Any, ...], tangents: tuple[Any, ...], epilogue: Epilogue
) -> Tensor:
    """Of the output, which is linear in image, weight and bias up to the activation."""
    (image, weight, bias), (tangent_image, tangent_weight, tangent_bias) = inputs, tangents
    parts = []
    if tangent_image is not None:
        parts.append(convolve(tangent_image, weight))
    if tangent_weight is not None:
        parts.append(convolve(image, tangent_weight))
    if tangent_bias is not None:
        shift = tangent_bias.view(-1, 1, 1)
        parts = [parts[0] + shift, *parts[1:]] if parts else [shift.expand_as(convolve(image, weight))]
    tangent = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    if epilogue.activation == NONE:
        return tangent
    argument = convolve(image, weight)
    argument = argument if bias is None else argument + bias.view(-1, 1, 1)
    return gradient_from_argument(tangent, argument, epilogue.activation, epilogue.negative_slope)


class ConvTranspose2d(torch.autograd.Function):
    """small, weight, bias -> (large, statistics); statistics carry no gradient."""

    @staticmethod
    def forward(
        small: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        output_padding: Pair,
        descriptor: ConvDescriptor,
        epilogue: Epilogue,
    ) -> tuple[Tensor, Tensor]:
        return dispatch.conv_transpose2d(small, weight, None, bias, output_padding, descriptor, epilogue)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        small, weight, _, ctx.output_padding, descriptor, epilogue = inputs
        _convolution_context(ctx, small, weight, descriptor, epilogue, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
        return *_convolution_backward(ctx, grad, True), None, None, None

    @staticmethod
    def tangents(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
        output_padding, descriptor, epilogue = inputs[3:]

        def convolve(small: Tensor, weight: Tensor) -> Tensor:
            return _conv_transpose2d(small, weight, output_padding, descriptor)

        return _convolution_tangent(convolve, inputs[:3], tangents[:3], epilogue), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], small: Tensor, weight: Tensor, bias: Any, *options: Any
    ) -> tuple[Any, ...]:
        if in_dims[1] is None and in_dims[2] is None and not options[2].statistics:
            return _merged(ConvTranspose2d, info, in_dims, small, weight, bias, *options)

        output_padding, descriptor, epilogue = options

        def lane(small: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
            stride, padding = descriptor.geometry.stride, descriptor.geometry.padding
            return reference.conv_transpose2d(small, weight, None, bias, stride, padding, *output_padding, *epilogue)

        return torch.vmap(lane, in_dims[:3])(small, weight, bias), (0, 0)


class Conv2d(torch.autograd.Function):
    """large, weight, bias -> (small, statistics); statistics carry no gradient."""

    @staticmethod
    def forward(
        large: Tensor, weight: Tensor, bias: Tensor | None, descriptor: ConvDescriptor, epilogue: Epilogue
    ) -> tuple[Tensor, Tensor]:
        return dispatch.conv2d(large, weight, None, bias, descriptor, epilogue)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        large, weight, _, descriptor, epilogue = inputs
        _convolution_context(ctx, large, weight, descriptor, epilogue, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
        return *_convolution_backward(ctx, grad, False), None, None

    @staticmethod
    def tangents(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
        descriptor, epilogue = inputs[3:]

        def convolve(large: Tensor, weight: Tensor) -> Tensor:
            return _conv2d(large, weight, descriptor)

        return _convolution_tangent(convolve, inputs[:3], tangents[:3], epilogue), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], large: Tensor, weight: Tensor, bias: Any, *options: Any
    ) -> tuple[Any, ...]:
        if in_dims[1] is None and in_dims[2] is None and not options[1].statistics:
            return _merged(Conv2d, info, in_dims, large, weight, bias, *options)

        descriptor, epilogue = options

        def lane(large: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
            return reference.conv2d(
                large, weight, None, bias, descriptor.geometry.stride, descriptor.geometry.padding, *epilogue
            )

        return torch.vmap(lane, in_dims[:3])(large, weight, bias), (0, 0)


def _merged(function: Any, info: Any, in_dims: tuple[Any, ...], image: Tensor, *others: Any) -> tuple[Any, ...]:
    """Weights that all lanes share: the mapped dimension joins the batch. Else PyTorch's own vmap does the work."""
    size = info.batch_size
    output, statistics = apply_function(function, merge_batch(image, in_dims[0], size, 0), *others)
    return (split_batch(output, size, 0), statistics), (0, None)


class WeightGradient(torch.autograd.Function):
    """small, large -> gradient of the weight."""

    @staticmethod
    def forward(small: Tensor, large: Tensor, descriptor: ConvDescriptor) -> Tensor:
        return dispatch.weight_gradient(small, large, descriptor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        small, large, ctx.descriptor = inputs
        ctx.save_for_backward(small, large)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """``grad`` has the weight's shape, and takes the weight's place in the two convolutions."""
        small, large = ctx.saved_tensors
        need_small, need_large = ctx.needs_input_grad[:2]
        with _Autocast(grad.device.type):
            padding = ctx.descriptor.geometry.output_padding(_size(small), _size(large))
            grad_small = _conv2d(large, grad, ctx.descriptor) if need_small else None
            grad_large = _conv_transpose2d(small, grad, padding, ctx.descriptor) if need_large else None
            return grad_small, grad_large, None

    @staticmethod
    def tangents(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Tensor:
        (small, large, descriptor), (tangent_small, tangent_large, _) = inputs, tangents
        parts = []
        if tangent_small is not None:
            parts.append(_weight_gradient(tangent_small, large, descriptor))
        if tangent_large is not None:
            parts.append(_weight_gradient(small, tangent_large, descriptor))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], small: Tensor, large: Tensor, descriptor: ConvDescriptor
    ) -> tuple[Any, ...]:
        """Each lane has a weight of its own."""

        def lane(small: Tensor, large: Tensor) -> Tensor:
            return reference.conv2d_weight_gradient(small, large, *descriptor.geometry)

        return torch.vmap(lane, in_dims[:2])(small, large), 0
