"""Forward-mode differentiation of the operators, for ``torch.autograd.forward_ad`` and ``torch.func.jvp``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad


def forward_mode() -> bool:
    """Whether tensors may carry tangents: a dual level was entered, by hand or by a transform of torch.func."""
    return forward_ad._current_level >= 0


@cache
def with_tangents(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """``function`` with a ``jvp``, which is its ``tangents(inputs, tangents)``: a tangent for each output.

    A class of its own: torch.compile refuses a Function that has a ``jvp``, and what is saved for it costs time.
    """

    class WithTangents(function):  # type: ignore[misc, valid-type]
        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            function.setup_context(ctx, inputs, output)
            ctx.others = [None if isinstance(value, Tensor) else value for value in inputs]
            ctx.save_for_forward(*(value if isinstance(value, Tensor) else None for value in inputs))

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            saved = zip(ctx.saved_tensors, ctx.others, strict=True)
            inputs = [other if tensor is None else forward_ad.unpack_dual(tensor).primal for tensor, other in saved]
            # Off in here, for levels further out as well, whose tangents would be lost: jacfwd of jacfwd.
            with forward_ad._set_fwd_grad_enabled(True):
                return function.tangents(inputs, tangents)  # type: ignore[attr-defined]

    WithTangents.__name__ = WithTangents.__qualname__ = function.__name__
    return WithTangents


def times_tangents(slopes: Sequence[Tensor], tangents: Sequence[Tensor | None]) -> Tensor:
    """Tangent of an elementwise value: the sum of derivative times tangent, over the inputs that have a tangent.

    The derivatives are of the value's shape and dtype; a tangent broadcasts to it.
    """
    total = torch.zeros_like(slopes[0])
    for slope, tangent in zip(slopes, tangents, strict=True):
        if tangent is not None:
            total = total + slope * tangent.to(slope.dtype)
    return total
