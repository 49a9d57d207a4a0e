"""Minibatch discrimination as a layer: what a discriminator knows of an example, beside how close the others are."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from deepgen_fast.ops.minibatch_discrimination import minibatch_discrimination


class MinibatchDiscrimination(nn.Module):
    """f(x) -> [f(x), o(x)]: beside its features, each example's closeness to the rest of its minibatch.

    M_i = f(x_i) T, with a learned tensor T of shape ``[in_features, num_kernels, kernel_dim]``, and o(x_i) as
    :func:`deepgen_fast.minibatch_discrimination` has it (Salimans et al. 2016, section 3.2). Real and generated
    examples go through a discriminator as minibatches of their own, so it sees how diverse each of them is. Where
    processes share a batch, each compares the rows that it has.

    Args:
        in_features: A, numbers of f(x).
        num_kernels: B of the paper, numbers of o(x); 100 in the authors' code for MNIST.
        kernel_dim: C, dimensions in which a kernel measures distances; 5 there.
        include_self, backend: as for :func:`deepgen_fast.minibatch_discrimination`.

    Shapes: ``[batch, in_features]`` -> ``[batch, in_features + num_kernels]``, in the input's dtype.

    T is drawn as the weights of ``nn.Linear`` are, so that distances are of the order of ``kernel_dim`` for features of
    unit variance: much larger, and all similarities would vanish with their gradients.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self,
        in_features: int,
        num_kernels: int,
        kernel_dim: int,
        *,
        include_self: bool = False,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = {"in_features": in_features, "num_kernels": num_kernels, "kernel_dim": kernel_dim}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.include_self, self.backend = include_self, backend
        self.weight = nn.Parameter(torch.empty(*sizes.values(), device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        limit = 1.0 / math.sqrt(self.weight.shape[0])
        nn.init.uniform_(self.weight, -limit, limit)

    def extra_repr(self) -> str:
        in_features, num_kernels, kernel_dim = self.weight.shape
        return f"in_features={in_features}, num_kernels={num_kernels}, kernel_dim={kernel_dim}"

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_features + num_kernels]``."""
        features = (x @ self.weight.flatten(1)).unflatten(1, self.weight.shape[1:])
        closeness = minibatch_discrimination(features, include_self=self.include_self, backend=self.backend)
        return torch.cat([x, closeness.to(x.dtype)], 1)
