"""Paths between latents."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_PARALLEL = 1e-6  # sine of the angle below which a great circle is a line


def latent_path(first: Any, last: Any, steps: int, *, spherical: bool) -> Any:
    """Latents from ``first`` to ``last``, both among them, at even distances.

    Args:
        first, last: ``[n, latent_dim]``, the ends of n paths; or tuples, of whose tensors those of floating point move.
            Others (labels, categorical codes: there is nothing between two of them) stay as in ``first``.
        steps: latents on a path, at least 2.
        spherical: along great circles, with norms from the one to the other. Draws of N(0, I) in many dimensions lie
            near a sphere, whose inside, where a straight line goes, they never see (White, "Sampling generative
            networks", 2016). Straight lines suit a uniform prior.

    Returns:
        ``[n, steps, latent_dim]``, or a tuple of such.

    Raises:
        ValueError: for ends of different shapes, or fewer than 2 steps.
    """
    if steps < 2:
        raise ValueError(f"steps: expected at least 2, got {steps}")
    if not isinstance(first, Tensor):
        return tuple(
            latent_path(*ends, steps, spherical=spherical)
            if ends[0].is_floating_point()
            else ends[0].unsqueeze(1).expand(-1, steps, *ends[0].shape[1:])
            for ends in zip(first, last, strict=True)
        )
    if first.dim() < 2 or first.shape != last.shape:
        raise ValueError(f"last: expected [n, latent_dim] as first, {list(first.shape)}, got {list(last.shape)}")
    path = _path(first.flatten(1), last.flatten(1), steps, spherical)
    return path.unflatten(2, first.shape[1:])


def _path(first: Tensor, last: Tensor, steps: int, spherical: bool) -> Tensor:
    """``[n, steps, latent_dim]`` between ends ``[n, latent_dim]``."""
    place = torch.linspace(0, 1, steps, dtype=first.dtype, device=first.device).view(1, steps, 1)
    first, last = first.unsqueeze(1), last.unsqueeze(1)
    straight = torch.lerp(first, last, place)
    if not spherical:
        return straight
    norms = [torch.linalg.vector_norm(end, dim=-1, keepdim=True) for end in (first, last)]
    directions = [
        end / norm.clamp(min=torch.finfo(first.dtype).tiny) for end, norm in zip((first, last), norms, strict=True)
    ]
    angle = torch.acos((directions[0] * directions[1]).sum(-1, keepdim=True).clamp(-1, 1))
    sine = torch.sin(angle)
    circle = (torch.sin((1 - place) * angle) * directions[0] + torch.sin(place * angle) * directions[1]) / sine
    return torch.where(sine < _PARALLEL, straight, circle * torch.lerp(norms[0], norms[1], place))
