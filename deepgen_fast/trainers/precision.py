"""Arithmetic of the networks during training; weights, optimiser and averages stay in float32."""

from __future__ import annotations

import copy
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from deepgen_fast.models import VAE

# Normalisation keeps float32 weights: it reads bfloat16 activations either way.
_FLOAT32_MODULES = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


class Precision(Protocol):
    """What a training step asks of a precision."""

    forward_model: Any

    def zero_grad(self) -> None:
        """Before the forward pass."""

    def collect_gradients(self) -> None:
        """After the backward pass: the model's parameters have their float32 gradients."""

    def refresh(self) -> None:
        """After the model's parameters have changed."""


class Float32:
    """The model as it is."""

    def __init__(self, model: nn.Module) -> None:
        self.forward_model = model
        self._parameters = list(model.parameters())

    def zero_grad(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def collect_gradients(self) -> None:
        return

    def refresh(self) -> None:
        return


class _NarrowModel:
    """Called like the model: casts the batch and runs the bfloat16 copy."""

    def __init__(self, narrow: VAE, model: VAE) -> None:
        self.narrow = narrow
        self.likelihood = model.likelihood
        self.latent_dim = model.latent_dim

    def __call__(self, x: Tensor, **options: Any) -> Any:
        return self.narrow(x.to(torch.bfloat16), **options)


class Bfloat16:
    """A bfloat16 copy of the networks runs forward and backward; the float32 model is what is trained.

    Replaces ``torch.autocast``, which casts every weight at each step inside the graph and every gradient
    back in it. Here the same casts are one ``_foreach_copy_`` each way, and the losses, which take float32
    targets, accumulate in float32. Buffers and the likelihood (its learned variance) are shared with the
    model, not copied.
    """

    def __init__(self, model: VAE) -> None:
        narrow = copy.deepcopy(model)
        narrow.likelihood = model.likelihood
        for (_, module), (_, source) in zip(narrow.named_modules(), model.named_modules(), strict=True):
            for name, buffer in source.named_buffers(recurse=False):
                module.register_buffer(name, buffer, persistent=name not in source._non_persistent_buffers_set)
        self._likelihood = list(model.likelihood.parameters())
        shared = {id(parameter) for parameter in self._likelihood}
        for module in narrow.modules():
            if isinstance(module, _FLOAT32_MODULES):
                continue
            for name, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in shared and parameter.dtype == torch.float32:
                    setattr(module, name, nn.Parameter(parameter.detach().to(torch.bfloat16), parameter.requires_grad))
        pairs = [
            (wide, thin)
            for wide, thin in zip(model.parameters(), narrow.parameters(), strict=True)
            if wide is not thin and wide.requires_grad
        ]
        self._wide: list[Tensor] = [wide for wide, _ in pairs]
        self._thin: list[Tensor] = [thin for _, thin in pairs]
        self._gradients = [torch.zeros_like(wide) for wide in self._wide]
        self.forward_model = _NarrowModel(narrow, model)

    def zero_grad(self) -> None:
        for parameter in self._thin:
            parameter.grad = None
        for parameter in self._likelihood:
            parameter.grad = None

    @torch.no_grad()
    def collect_gradients(self) -> None:
        found = [
            (gradient, thin.grad, wide)
            for gradient, thin, wide in zip(self._gradients, self._thin, self._wide, strict=True)
        ]
        used = [(gradient, grad) for gradient, grad, _ in found if grad is not None]
        torch._foreach_copy_([gradient for gradient, _ in used], [grad for _, grad in used])
        for gradient, grad, wide in found:
            wide.grad = None if grad is None else gradient

    @torch.no_grad()
    def refresh(self) -> None:
        torch._foreach_copy_(self._thin, self._wide)


def build_precision(name: str, model: VAE) -> Precision:
    """``"float32"`` or ``"bf16"``.

    Raises:
        ValueError: for another name.
    """
    if name == "float32":
        return Float32(model)
    if name == "bf16":
        return Bfloat16(model)
    raise ValueError(f"precision: expected 'float32' or 'bf16', got {name!r}")
