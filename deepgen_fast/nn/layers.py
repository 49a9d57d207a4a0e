"""Which layers the fused operators replace, told by the function that would run: a class with a forward of its own is
another layer, whatever it derives from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_internals
from torch.nn.utils import parametrize

from deepgen_fast.tracing import exporting

Pair = tuple[int, int]

CONVOLUTION, TRANSPOSED_CONVOLUTION, BATCH_NORM, SEQUENTIAL = (
    "convolution",
    "transposed convolution",
    "batch norm",
    "sequential",
)

# The function that a layer runs -> what it computes. The classes that stand in for these add their own.
ROLES: dict[Callable[..., Any], str] = {
    nn.Conv2d.forward: CONVOLUTION,
    nn.ConvTranspose2d.forward: TRANSPOSED_CONVOLUTION,
    nn.BatchNorm2d.forward: BATCH_NORM,
    nn.Sequential.forward: SEQUENTIAL,
    nn.ReLU.forward: "relu",
    nn.LeakyReLU.forward: "leaky_relu",
    nn.Tanh.forward: "tanh",
    nn.Sigmoid.forward: "sigmoid",
}
ACTIVATIONS = frozenset({"relu", "leaky_relu", "tanh", "sigmoid"})
# Of a convolution that is accelerated, the forward that PyTorch gives it.
PLAIN_FORWARDS: dict[str | None, Callable[..., Any]] = {
    CONVOLUTION: nn.Conv2d.forward,
    TRANSPOSED_CONVOLUTION: nn.ConvTranspose2d.forward,
}
CONVOLUTIONS = frozenset({CONVOLUTION, TRANSPOSED_CONVOLUTION})

_CALL = nn.Module.__call__
_CONV_FORWARD = nn.Conv2d._conv_forward
_PLAIN_TENSORS = frozenset({Tensor, nn.Parameter})


def role(layer: nn.Module) -> str | None:
    """What the layer computes, None for what is not known here."""
    cls: Any = type(layer)
    found = ROLES.get(cls.forward)
    # One function serves the batch norms of every dimension; others call methods that some replace.
    if found is BATCH_NORM:
        return found if isinstance(layer, nn.BatchNorm2d) else None
    if found is CONVOLUTION and cls._conv_forward is not _CONV_FORWARD:
        return None
    return None if found is SEQUENTIAL and cls.__iter__ is not nn.Sequential.__iter__ else found


def changed(layer: nn.Module) -> str | None:
    """What somebody put on this one layer that its call must go through; None where calling it is its forward alone."""
    if layer._forward_hooks or layer._forward_pre_hooks:
        return "forward hooks"
    if layer._backward_hooks or layer._backward_pre_hooks:
        return "backward hooks"
    attributes = layer.__dict__
    if "forward" in attributes or "_conv_forward" in attributes or type(layer).__call__ is not _CALL:
        return "a forward set on the instance, or a call of its own"
    if layer._compiled_call_impl is not None:
        return "been compiled by itself"
    for name in ("negative_slope", "momentum", "eps"):
        value = attributes.get(name)
        if value is not None and (not isinstance(value, (float, int)) or isinstance(value, bool)):
            return f"{name}={value!r}, not a number of Python's"
    return None


def is_plain(tensor: object) -> bool:
    """Whether this is a tensor and not of a subclass, which has its own convolution (quantized, distributed)."""
    return type(tensor) in _PLAIN_TENSORS


def recorded_elsewhere() -> bool:
    """Whether a program is being recorded that may run without this library, or operators are being watched.

    torch.export and torch.jit.trace then get the plain layers; so do FlopCounterMode and its like.
    """
    if exporting():
        return True
    return not torch.compiler.is_compiling() and torch._C._len_torch_dispatch_stack() > 0


def every_call_is_hooked() -> bool:
    return bool(module_internals._has_any_global_hook())


def is_pair(value: object) -> bool:
    """Whether this is height and width as a layer's constructor stores them."""
    return type(value) is tuple and len(value) == 2 and type(value[0]) is int and type(value[1]) is int


def padding_of(layer: Any) -> Pair | None:
    """Zeros added at either side, (height, width); None where the sides differ."""
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        height, width = layer.kernel_size
        return (height // 2, width // 2) if height % 2 and width % 2 else None
    return layer.padding


def unsupported_reason(layer: Any) -> str | None:
    """Why the fused operators do not have this convolution, None when they have it.

    What they cannot read, PyTorch's forward takes: sizes that somebody has set since to an int or to NumPy's.
    """
    for name in ("kernel_size", "stride", "dilation", "output_padding"):
        if not is_pair(getattr(layer, name)):
            return f"{name}={getattr(layer, name)!r}, not a pair of ints"
    if not (isinstance(layer.padding, str) or is_pair(layer.padding)):
        return f"padding={layer.padding!r}, not a pair of ints"
    if layer.groups != 1 or type(layer.groups) is not int:
        return f"groups={layer.groups}"
    if layer.dilation != (1, 1):
        return f"dilation={layer.dilation}"
    if layer.padding_mode != "zeros":
        return f"padding_mode={layer.padding_mode!r}"
    return "padding='same' with an even kernel" if padding_of(layer) is None else None


def stored(layer: Any, name: str) -> Any:
    """A tensor of the layer, as it is stored where it is parametrized.

    To read the attribute is to compute it, which may change it: spectral norm takes a step of its power iteration. So a
    call may read it once, as the plain layer's does.
    """
    if parametrize.is_parametrized(layer, name):
        parts = layer.parametrizations[name]
        return parts.original if hasattr(parts, "original") else parts.original0
    return getattr(layer, name)


def unsupported_input_reason(layer: Any, input: Any) -> str | None:
    """Why PyTorch's own forward gets this input (and raises, where something is wrong with it), None when ours does."""
    weight, bias = stored(layer, "weight"), stored(layer, "bias")
    if not is_plain(input) or not is_plain(weight) or not (bias is None or is_plain(bias)):
        return "a tensor subclass"
    if input.layout is not torch.strided or weight.layout is not torch.strided:
        return "a tensor that is not strided"
    if input.is_meta:
        return "a meta tensor, which holds no numbers"
    if input.dim() != 4:
        return f"input has {input.dim()} dimensions, not [batch, channels, height, width]"
    if input.shape[1] != layer.in_channels or input.device != weight.device:
        return "input has other channels or is on another device than the weight"
    if not weight.is_floating_point():
        return f"dtype {weight.dtype}"
    if input.dtype != weight.dtype and not torch.is_autocast_enabled(input.device.type):
        return f"input has dtype {input.dtype}, the weight {weight.dtype}"
    return None
