"""How a fused operator enters autograd, cheaply."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.forward_mode import forward_mode, with_tangents
from deepgen_fast.ops.functionalize import below_functionalize, functionalizing
from deepgen_fast.tracing import exporting

_transforms_active = torch._C._are_functorch_transforms_active


def transforming() -> bool:
    """Whether a torch.func transform (grad, vmap, ...) is at work."""
    return not torch.compiler.is_compiling() and _transforms_active()


def needs_gradient(*tensors: Tensor | None) -> bool:
    """Whether autograd will want to go back through any of these, or forward."""
    if forward_mode():
        return True
    if torch.is_grad_enabled():
        for tensor in tensors:  # a third of the time of any() over a generator
            if tensor is not None and tensor.requires_grad:
                return True
    return False


def recorded() -> bool:
    """Whether a backward is itself recorded (``create_graph=True``), so must be differentiable torch code."""
    return torch.is_grad_enabled() and not torch.compiler.is_compiling()


def needs_torch_code(*grads: Tensor | None) -> bool:
    """Whether a backward must be torch code that autograd and vmap see through.

    It is recorded, differentiated in forward mode, or mapped over many incoming gradients at once.
    """
    return recorded() or (not torch.compiler.is_compiling() and (forward_mode() or mapped(*grads)))


def mapped(*tensors: Tensor | None) -> bool:
    """Whether vmap is at work: a tensor's memory format, address and numbers cannot be asked for."""
    return transforming() or mapped_by_engine(*tensors)


def mapped_by_engine(*tensors: Tensor | None) -> bool:
    """Whether these are mapped by the autograd engine's own vmap (``is_grads_batched``, ``jacobian(vectorize=True)``).

    It is older than torch.func's, and no transform: only the tensors show it. It knows PyTorch's operators alone.
    """
    if torch.compiler.is_compiling():
        return False
    return any(tensor is not None and _is_mapped(tensor) for tensor in tensors)


_is_mapped = torch._C._functorch.is_legacy_batchedtensor


def apply_function(function: type[torch.autograd.Function], *args: Any) -> Any:
    """``function.apply(*args)``, without the 15 us that its binding of default arguments costs.

    ``Function.apply`` inspects the signature at each call of a function with ``setup_context``. Only torch.func and
    torch.compile need that path; plain autograd takes the C++ entry that it ends in.
    """
    if exporting():  # forward is the reference, which torch differentiates
        return function.forward(*args)
    if torch.compiler.is_compiling():
        return function.apply(*_distinct(args))
    if forward_mode():
        return with_tangents(function).apply(*args)
    if _transforms_active():
        if functionalizing():
            return below_functionalize(apply_function, function, *args)
        return function.apply(*args)
    if not torch.is_grad_enabled():
        return function.forward(*args)
    return _plain_apply(function)(*args)


@cache
def _plain_apply(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    return super(torch.autograd.Function, function).apply  # type: ignore[misc]


def _distinct(args: tuple[Any, ...]) -> list[Any]:
    """A view in place of a tensor that was there already: Dynamo refuses a Function the same tensor twice."""
    seen: list[Any] = []
    for arg in args:
        repeated = isinstance(arg, Tensor) and any(arg is other for other in seen)
        seen.append(arg.view_as(arg) if repeated else arg)
    return seen


def reduce_repeated(grad: Tensor, operand: Tensor) -> Tensor:
    """Sum a gradient of the full row view down to an operand that repeats over rows (or is one shared number).

    In float64, so that neither many rows nor the order in which threads add them show in the result; rounded to the
    operand's dtype after that.
    """
    if grad.shape == operand.shape:
        return grad.to(operand.dtype)
    if operand.numel() == 1:
        return grad.sum(dtype=torch.float64).view(operand.shape).to(operand.dtype)
    return grad.sum(tuple(range(grad.dim() - operand.dim())), dtype=torch.float64).to(operand.dtype)
