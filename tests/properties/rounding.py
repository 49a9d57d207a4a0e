"""What rounding alone can do to an expression: Monte Carlo arithmetic in float64.

Parker, "Monte Carlo arithmetic: exploiting randomness in floating-point arithmetic", 1997. Every operation of an eager
expression, forward and backward, is followed by a random relative error of the dtype it stands for. The spread of the
results is the error that eager makes itself, whatever the processor and however the terms of a sum are ordered.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
# Each makes one rounding.
_ROUNDING = {
    getattr(_aten, name)
    for name in (
        "add", "sub", "rsub", "mul", "div", "log", "log1p", "expm1", "pow", "sqrt", "rsqrt", "reciprocal",
        "sigmoid", "softplus", "tanh", "log_sigmoid_forward", "sigmoid_backward", "softplus_backward", "tanh_backward",
        "leaky_relu", "leaky_relu_backward", "addcmul", "addcdiv",
    )
}  # fmt: skip
# The error of a sum is that of its terms, which may cancel.
_SUMS = {_aten.sum, _aten.mean}


def _bernoulli(logits: Tensor, target: Tensor, weight: Any = None, pos_weight: Any = None, *_: Any) -> Tensor:
    """What ``binary_cross_entropy_with_logits`` adds up inside."""
    return (1 - target) * logits - F.logsigmoid(logits)


class RoundingNoise(TorchDispatchMode):
    """While it is in force, results of float64 operations carry the errors that rounding to another dtype makes.

    An exponential may also be off by the smallest normal number, below which it saturates.

    Args:
        dtype: the one that float64 stands for.
        seed: decides the errors.
        convolution: error of a convolution relative to the root mean square of its outputs on random data, where
            that is more than rounding's.
    """

    def __init__(self, dtype: torch.dtype, seed: int, convolution: float = 0.0) -> None:
        super().__init__()
        info, self.is_float64 = torch.finfo(dtype), dtype == torch.float64
        # Half a unit in the last place; of float64 a whole one, as less would be rounded away.
        self.eps, self.tiny = info.eps * (1.0 if self.is_float64 else 0.5), info.tiny
        self.convolution = max(info.eps, convolution)
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        if packet is _aten.binary_cross_entropy_with_logits:
            with self:
                return _bernoulli(*args, **kwargs)
        result = func(*args, **kwargs)
        if packet is _aten.exp:
            return self._disturbed(result, result + self.tiny / self.eps, self.eps)
        if packet in _ROUNDING:
            return torch.utils._pytree.tree_map_only(Tensor, lambda t: self._disturbed(t, t, self.eps), result)
        if packet in _SUMS:
            # The truth is float64's: for operands of that dtype it has as many roundings itself.
            depth = 1 + math.log2(max(args[0].numel(), 1)) if self.is_float64 else 1
            return self._disturbed(result, func(args[0].abs(), *args[1:], **kwargs), depth * self.eps)
        if "batch_norm" in str(packet):
            return (self._disturbed(result[0], result[0], self.eps), *result[1:])
        if packet is _aten.convolution:
            x, w, b, *rest = args
            size = func(x.square(), w.square(), None if b is None else b.square(), *rest).sqrt()
            return self._disturbed(result, _mean_size(size), self.convolution)
        if packet is _aten.convolution_backward:
            squares = func(*(a.square() for a in args[:3]), *args[3:])
            return tuple(
                None if r is None else self._disturbed(r, _mean_size(s.sqrt()), self.convolution)
                for r, s in zip(result, squares, strict=True)
            )
        return result

    def _disturbed(self, value: Tensor, size: Tensor, eps: float) -> Tensor:
        if not isinstance(value, Tensor) or value.dtype != torch.float64:
            return value
        random = torch.rand(value.shape, generator=self.generator, dtype=torch.float64) * 2 - 1
        return value + torch.where(value.isfinite(), size.abs().nan_to_num() * (eps * random), 0.0)


def _mean_size(value: Tensor) -> Tensor:
    return value.square().mean().sqrt() if value.numel() else value
