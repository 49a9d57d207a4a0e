"""Checks of what every public convolution takes, made once: each names the argument, what was expected, what came."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from deepgen_fast import backends
from deepgen_fast.ops.activation import ACTIVATIONS
from deepgen_fast.ops.checks import check_device, check_tensor
from deepgen_fast.ops.convolution.algorithm import ALGORITHMS
from deepgen_fast.ops.convolution.dispatch import ConvDescriptor
from deepgen_fast.ops.convolution.geometry import Geometry, Pair
from deepgen_fast.ops.convolution.precision import takes_tf32
from deepgen_fast.tracing import exporting


class Operands(NamedTuple):
    """Checked, and cast as autocast says."""

    image: Tensor  # [batch, channels, height, width]
    weight: Tensor
    bias: Tensor | None
    output_padding: Pair
    descriptor: ConvDescriptor
    # Whether PyTorch's operator does it all, without and with a backward, for these shapes; None: not found out yet.
    direct: list[bool | None]


def pair(name: str, value: object, least: int) -> Pair:
    """An int, or a pair of them for height and width."""
    found = (value, value) if isinstance(value, int) else value
    if not isinstance(found, (tuple, list)) or not all(_is_int(v) for v in found):
        raise TypeError(f"{name} must be an int or a pair of ints, got {value!r}")
    if len(found) == 1:
        found = (found[0], found[0])
    if len(found) != 2 or min(found) < least:
        raise ValueError(f"{name} must be an int or a pair of ints of at least {least}, got {value!r}")
    return found[0], found[1]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Checked(NamedTuple):
    """What the checks gave for an earlier call: the last three of :class:`Operands`."""

    output_padding: Pair
    descriptor: ConvDescriptor
    direct: list[bool | None]


# Between two convolutions the processor's caches forget the code of the checks, and to run it anew takes 0.1 ms.
_checked: dict[Any, Checked] = {}
_REMEMBERED = 4096
_PLAIN_TENSORS = frozenset({Tensor, nn.Parameter})
_SIZES = frozenset({int, tuple})  # not a bool, which equals a number that is allowed


def cached_operands(
    transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None, stride: object, padding: object,
    output_padding: object, algorithm: str, backend: str,
) -> Checked | None:  # fmt: skip
    """What the checks gave for an earlier call of these shapes; that the operands fit each other is not looked at.

    None where there was no such call, or the checks depend on more than shapes.
    """
    key = _key(transposed, x, weight, bias, stride, padding, output_padding, algorithm, backend)
    return None if key is None else _checked.get(key)


def _key(
    transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None, stride: object, padding: object,
    output_padding: object, algorithm: str, backend: str,
) -> tuple[Any, ...] | None:  # fmt: skip
    if torch.compiler.is_compiling() or backend != "auto" or exporting():
        return None
    if type(x) not in _PLAIN_TENSORS or type(weight) not in _PLAIN_TENSORS:
        return None
    if x.is_nested or weight.is_nested:  # whose shape raises
        return None
    if bias is not None and (type(bias) not in _PLAIN_TENSORS or bias.device != x.device):
        return None
    if type(stride) not in _SIZES or type(padding) not in _SIZES or type(output_padding) not in _SIZES:
        return None
    device_type, place = "cpu", None
    if not (x.is_cpu and weight.is_cpu):
        device_type = x.device.type
        place = (x.device, weight.device, takes_tf32(device_type, x.dtype))
    if torch.is_autocast_enabled(device_type):
        return None
    return transposed, x.shape, weight.shape, x.dtype, place, stride, padding, output_padding, algorithm


def check_operands(
    transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None, stride: object, padding: object,
    output_padding: object, algorithm: str, backend: str,
) -> Operands:  # fmt: skip
    """Everything that a convolution's arguments must satisfy.

    Raises:
        TypeError, ValueError, RuntimeError: as the public functions say.
    """
    key = _key(transposed, x, weight, bias, stride, padding, output_padding, algorithm, backend)
    if key is None:
        return _check(transposed, x, weight, bias, stride, padding, output_padding, algorithm, backend)
    found = _checked.get(key)
    sizes = (stride, padding, output_padding)
    if found is not None and _fit(transposed, x, weight, bias) and all(map(_is_size, sizes)):
        return Operands(x, weight, bias, *found)
    operands = _check(transposed, x, weight, bias, stride, padding, output_padding, algorithm, backend)
    if x.dim() == 4:
        if len(_checked) >= _REMEMBERED:
            _checked.clear()
        _checked[key] = Checked(*operands[3:])
    return operands


def _fit(transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the checks would find nothing in these operands, as they found nothing in others of their shapes."""
    if not _alike(x, weight) or x.layout is not torch.strided:
        return False
    outputs = weight.shape[1 if transposed else 0]
    return bias is None or (not bias.is_nested and bias.shape == (outputs,) and _alike(x, bias))


def _alike(x: Tensor, other: Tensor) -> bool:
    return other.dtype == x.dtype and other.device == x.device and other.layout == x.layout


def _is_size(value: object) -> bool:
    if type(value) is tuple:
        return len(value) > 0 and type(value[0]) is int and type(value[-1]) is int
    return type(value) is int


def _check(
    transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None, stride: object, padding: object,
    output_padding: object, algorithm: str, backend: str,
) -> Operands:  # fmt: skip
    for name, value in {"x": x, "weight": weight, **({} if bias is None else {"bias": bias})}.items():
        # What oneDNN holds in a layout of its own, PyTorch's operator takes.
        if getattr(value, "layout", None) is not torch._mkldnn:  # type: ignore[attr-defined]
            check_tensor(name, value)
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(map(repr, ALGORITHMS))}, got {algorithm!r}")
    chosen, norm_backend = resolved_backends(backend, x.device)
    algorithm = "auto" if exporting() else algorithm  # the reference has one
    _check_shapes(transposed, x, weight, bias)
    image, weight, bias = _same_dtype(x, weight, bias)
    geometry = Geometry((weight.shape[2], weight.shape[3]), pair("stride", stride, 1), pair("padding", padding, 0))
    extra = pair("output_padding", output_padding, 0)
    if transposed and (extra[0] >= geometry.stride[0] or extra[1] >= geometry.stride[1]):
        raise ValueError(f"output_padding must be smaller than stride, {geometry.stride}, got {output_padding!r}")
    image = image if image.dim() == 4 else image.unsqueeze(0)
    size = (image.shape[2], image.shape[3])
    result = geometry.large_size(size, extra) if transposed else geometry.small_size(size)
    if min(*size, *result) < 1:
        raise ValueError(f"x must be large enough for an output; {geometry} gives {result} from {list(x.shape)}")
    tf32 = takes_tf32(image.device.type, image.dtype)
    descriptor = ConvDescriptor(geometry, algorithm, chosen, norm_backend, tf32)
    return Operands(image, weight, bias, extra, descriptor, [None, None])


def resolved_backends(backend: str, device: torch.device) -> tuple[str, str]:
    """Of the convolution, and of its statistics and batch norm (see :class:`ConvDescriptor`)."""
    chosen = backends.choose(backend, device)
    return "reference" if backend == "auto" and chosen == "triton" else chosen, chosen


def _check_shapes(transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if x.dim() not in (3, 4):
        raise ValueError(f"x must have shape [batch, channels, height, width], got {list(x.shape)}")
    if weight.dim() != 4 or 0 in weight.shape[2:]:
        order = "[in_channels, out_channels, " if transposed else "[out_channels, in_channels, "
        raise ValueError(f"weight must have shape {order}kernel_height, kernel_width], got {list(weight.shape)}")
    inputs, outputs = (weight.shape[0], weight.shape[1]) if transposed else (weight.shape[1], weight.shape[0])
    if x.shape[-3] != inputs:
        raise ValueError(
            f"x must have the {inputs} input channels of weight {list(weight.shape)}, got {list(x.shape)} "
            "(convolutions with groups are PyTorch's)"
        )
    check_device("weight", weight, "x", x)
    if bias is not None:
        check_device("bias", bias, "x", x)
        if tuple(bias.shape) != (outputs,):
            raise ValueError(f"bias must have shape [out_channels], [{outputs}], got {list(bias.shape)}")


def _same_dtype(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Under autocast, the lower precision that PyTorch's convolutions take there; elsewhere a mismatch is an error."""
    device = x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, weight = _autocast(x, dtype), _autocast(weight, dtype)
        bias = None if bias is None else _autocast(bias, dtype)
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.dtype != x.dtype:
            raise TypeError(f"{name} must have the dtype of x, {x.dtype}, got {value.dtype}")
    return x, weight, bias


def _autocast(value: Tensor, dtype: torch.dtype) -> Tensor:
    """What autocast leaves alone is float64 and what is not floating."""
    return value.to(dtype) if value.is_floating_point() and value.dtype != torch.float64 else value


def check_activation(activation: object, negative_slope: float) -> int:
    """The activation's code in the kernels."""
    if activation is None:
        return 0
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(map(repr, ACTIVATIONS))} or None, got {activation!r}")
    if not isinstance(negative_slope, (int, float)) or isinstance(negative_slope, bool):
        raise TypeError(f"negative_slope must be a float, got {negative_slope!r}")
    return ACTIVATIONS.index(activation)
