"""Arithmetic of the networks during training; weights, optimizer and averages stay in float32."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from deepgen_fast.example import Example, cast_floats
from deepgen_fast.nn import VirtualBatchNorm

# Normalization keeps float32 weights: it reads bfloat16 activations either way.
_FLOAT32_MODULES = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, VirtualBatchNorm)


class Precision(Protocol):
    """What a training step asks of a precision.

    ``forward_model`` computes. The methods take the parameters of ``model`` that they are about; all, when None.
    """

    forward_model: Any

    def zero_grad(self, parameters: Sequence[Tensor] | None = None) -> None:
        """Before the forward pass."""

    def collect_gradients(self, parameters: Sequence[Tensor] | None = None) -> None:
        """After the backward pass: the model's parameters have their float32 gradients."""

    def refresh(self, parameters: Sequence[Tensor] | None = None) -> None:
        """After the model's parameters have changed."""

    def require_grad(self, parameters: Sequence[Tensor], required: bool) -> None:
        """Before a forward pass: whether these get gradients in its backward pass."""


class Float32:
    """The model as it is."""

    def __init__(self, model: nn.Module) -> None:
        self.forward_model = model
        self._parameters: list[Tensor] = list(model.parameters())

    def zero_grad(self, parameters: Sequence[Tensor] | None = None) -> None:
        for parameter in self._parameters if parameters is None else parameters:
            parameter.grad = None

    def collect_gradients(self, parameters: Sequence[Tensor] | None = None) -> None:
        return

    def refresh(self, parameters: Sequence[Tensor] | None = None) -> None:
        return

    def require_grad(self, parameters: Sequence[Tensor], required: bool) -> None:
        for parameter in parameters:
            parameter.requires_grad_(required)


class CastInputs:
    """Called like the model: casts the batch and runs the bfloat16 copy, which it is otherwise."""

    def __init__(self, narrow: nn.Module) -> None:
        self.narrow = narrow

    def __call__(self, x: Example, **options: Any) -> Any:
        return self.narrow(cast_floats(x, torch.bfloat16), **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.narrow, name)


class Bfloat16:
    """A bfloat16 copy of the networks runs forward and backward; the float32 model is what is trained.

    Replaces ``torch.autocast``, which casts every weight at each step inside the graph and every gradient
    back in it. Here the same casts are one ``_foreach_copy_`` each way, and the losses, which take float32
    targets, accumulate in float32. Buffers and the modules in ``wide`` are shared with the model, not copied.

    Args:
        model: whose networks to copy.
        wide: submodules that stay in float32 (a VAE's likelihood, with its learned variance).
        call: makes ``forward_model`` of the copy, where batches have to be cast for it.
    """

    def __init__(
        self, model: nn.Module, wide: Sequence[nn.Module] = (), call: Callable[[nn.Module], Any] | None = None
    ) -> None:
        self._shared = [parameter for module in wide for parameter in module.parameters()]
        shared = {id(parameter): parameter for parameter in self._shared}
        # deepcopy takes what its memo holds for the copy.
        narrow = copy.deepcopy(model, {id(module): module for module in wide})
        for (_, module), (_, source) in zip(narrow.named_modules(), model.named_modules(), strict=True):
            for name, buffer in source.named_buffers(recurse=False):
                module.register_buffer(name, buffer, persistent=name not in source._non_persistent_buffers_set)
        for module in narrow.modules():
            if isinstance(module, _FLOAT32_MODULES):
                continue
            for name, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in shared and parameter.dtype == torch.float32:
                    setattr(module, name, nn.Parameter(parameter.detach().to(torch.bfloat16), parameter.requires_grad))
        #: Of each parameter that was copied: the copy, and a float32 gradient.
        self._copies: dict[Tensor, tuple[Tensor, Tensor]] = {
            parameter: (thin, torch.zeros_like(parameter))
            for parameter, thin in zip(model.parameters(), narrow.parameters(), strict=True)
            if parameter is not thin and parameter.requires_grad
        }
        self.forward_model = narrow if call is None else call(narrow)

    def _of(self, parameters: Sequence[Tensor] | None) -> list[tuple[Tensor, Tensor, Tensor]]:
        """(parameter, copy, gradient) of those that were copied."""
        chosen = self._copies if parameters is None else parameters
        return [(parameter, *self._copies[parameter]) for parameter in chosen if parameter in self._copies]

    def zero_grad(self, parameters: Sequence[Tensor] | None = None) -> None:
        for _, thin, _ in self._of(parameters):
            thin.grad = None
        for parameter in self._shared:
            parameter.grad = None

    @torch.no_grad()
    def collect_gradients(self, parameters: Sequence[Tensor] | None = None) -> None:
        found = [(wide, thin.grad, gradient) for wide, thin, gradient in self._of(parameters)]
        used = [(gradient, grad) for _, grad, gradient in found if grad is not None]
        torch._foreach_copy_([gradient for gradient, _ in used], [grad for _, grad in used])
        for wide, grad, gradient in found:
            wide.grad = None if grad is None else gradient

    @torch.no_grad()
    def refresh(self, parameters: Sequence[Tensor] | None = None) -> None:
        found = self._of(parameters)
        torch._foreach_copy_([thin for _, thin, _ in found], [wide for wide, _, _ in found])

    def require_grad(self, parameters: Sequence[Tensor], required: bool) -> None:
        for parameter in parameters:
            copied = self._copies.get(parameter)
            (parameter if copied is None else copied[0]).requires_grad_(required)


def build_precision(name: str, model: nn.Module) -> Precision:
    """``"float32"`` or ``"bf16"``.

    Args:
        name: one of the two.
        model: one that is called with examples says as ``keep_in_fp32_modules`` what stays in float32, and gets them
            cast; any other casts by itself what its methods are given.

    Raises:
        ValueError: for another name.
    """
    if name == "float32":
        return Float32(model)
    if name == "bf16":
        wide: Any = model.keep_in_fp32_modules
        return Bfloat16(model) if wide is None else Bfloat16(model, wide, CastInputs)
    raise ValueError(f"precision: expected 'float32' or 'bf16', got {name!r}")
