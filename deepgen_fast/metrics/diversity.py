"""How far generated examples lie apart, beside real ones: what mode collapse takes away."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Diversity(NamedTuple):
    """Distances among generated examples over those among as many real ones; about 1 where the two are alike.

    Attributes:
        spread: mean distance of two examples. Low where all are much the same: few modes of many.
        distinctness: mean distance of an example to the nearest other one. Low where the same few examples come again
            and again, however far these few lie apart.
    """

    spread: float
    distinctness: float


def comparable(real: Tensor) -> bool:
    """Whether ``diversity`` has something to compare with: two real examples ``[n, *event]`` that differ."""
    return len(real) > 1 and bool((real != real[0]).any())


def diversity(generated: Tensor, real: Tensor) -> Diversity:
    """Euclidean distances in the space of the examples itself: no network, so alike means alike pixel by pixel.

    Args:
        generated, real: ``[n, *event]`` each, n at least 2 and the same for both, since nearest neighbors come nearer
            as examples become more. Some 64 to 256 examples tell collapse.

    Raises:
        ValueError: for shapes that differ, fewer than two examples, or real examples that are all the same.
    """
    if generated.shape != real.shape:
        raise ValueError(f"generated: expected the shape of real, {list(real.shape)}, got {list(generated.shape)}")
    if len(real) < 2:
        raise ValueError(f"real: expected at least 2 examples, got {len(real)}")
    ours, theirs = _distances(generated), _distances(real)
    if theirs.spread == 0.0:
        raise ValueError("real: expected examples that differ, got copies of one")
    # Real data may hold copies; then distinctness tells nothing, and counts as that of the data.
    distinctness = ours.distinctness / theirs.distinctness if theirs.distinctness else 1.0
    return Diversity(ours.spread / theirs.spread, distinctness)


def _distances(examples: Tensor) -> Diversity:
    flat = examples.detach().flatten(1).double()
    # By differences, not by inner products: those lose small distances, which are what tells copies.
    distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    count = len(flat)
    nearest = distances.masked_fill(torch.eye(count, dtype=torch.bool, device=flat.device), torch.inf).amin(1)
    return Diversity((distances.sum() / (count * (count - 1))).item(), nearest.mean().item())
