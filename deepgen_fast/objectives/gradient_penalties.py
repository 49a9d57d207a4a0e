"""Penalties on the discriminator's gradient at its input; their own gradient goes through it twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.random import BatchNoise


def input_gradient(logits: Tensor, x: Tensor) -> Tensor:
    """d(sum of logits) / dx, ``[B, *event]``, itself differentiable.

    Args:
        logits: made from ``x``; one an example, or several.
        x: ``[B, *event]``, with ``requires_grad``.
    """
    return torch.autograd.grad(logits.sum(), x, create_graph=True)[0]


def squared_gradient_norm(logits: Tensor, x: Tensor) -> Tensor:
    """``[]``: mean over examples of the squared norm of the discriminator's gradient, R1 on real ones, R2 on generated.

    The usual penalty is half of it times gamma (Mescheder, Geiger, Nowozin, "Which training methods for GANs do
    actually converge?", 2018).

    Args:
        logits: of ``x``.
        x: ``[B, *event]``, with ``requires_grad``.
    """
    return input_gradient(logits, x).flatten(1).square().sum(1).mean()


def gradient_penalty(
    discriminate: Callable[[Any], Tensor], real: Tensor, fake: Tensor, noise: BatchNoise | None = None
) -> Tensor:
    """``[]``: mean of (norm of the gradient - 1)^2 between real and generated examples (WGAN-GP).

    Each example's place is drawn uniformly on the line from a generated to a real one. The penalty is meant for
    discriminators that treat examples one by one, so without batch norm: with it, one example's logit has a gradient at
    the others too.

    Args:
        discriminate: ``[B, *event]`` -> logits.
        real, fake: ``[B, *event]``; what made them gets no gradient.
        noise: decides the places.

    Raises:
        ValueError: the shapes differ.

    Source: Gulrajani et al., "Improved training of Wasserstein GANs", 2017.
    """
    if real.shape != fake.shape:
        raise ValueError(f"fake: expected the shape of real, {list(real.shape)}, got {list(fake.shape)}")
    noise = BatchNoise() if noise is None else noise
    place = noise.uniform((len(real), *(1,) * (real.dim() - 1)), real)
    between = torch.lerp(fake.detach().to(real.dtype), real.detach(), place).requires_grad_()
    gradient = input_gradient(discriminate(between), between)
    # vector_norm's derivative at 0 is 0; that of a square root of a sum would be infinite.
    return (torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1.0).square().mean()
