"""Fidelity and diversity by nearest neighbors: precision and recall, density and coverage."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from deepgen_fast.metrics.evaluation import check_positive
from deepgen_fast.metrics.features import check_pair

# Elements of a block of distances: 32 MB in float64, whatever the number of samples.
_BLOCK_ELEMENTS = 1 << 22


class PrecisionRecall(NamedTuple):
    """precision: the part of fake that lies among real; recall: the part of real that lies among fake."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """density: how deep fake lies among real, 1 in expectation for equal distributions, and not bounded by it;
    coverage: the part of real that has a fake sample near it."""

    density: float
    coverage: float


def precision_recall(real: Tensor, fake: Tensor, *, num_neighbors: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkäänniemi et al. 2019, equations 1 and 2).

    A sample lies among a set when it is no farther from one of the set than that one is from its k-th nearest
    neighbor in the set.

    Args:
        real: features `[N, d]` of data.
        fake: features `[M, d]` of a model's samples. The paper takes N = M: the balls shrink as samples grow.
        num_neighbors: k, 3 as in the paper.

    Raises:
        ValueError: a set has no more than k samples, features of different widths, NaN or infinity.
    """
    real, fake = _pair(real, fake, num_neighbors)
    real_radii, fake_radii = _squared_radii(real, num_neighbors), _squared_radii(fake, num_neighbors)
    among_real, covered = 0, torch.zeros(real.shape[0], dtype=torch.bool, device=real.device)
    rows = _rows(real)
    for block, radii in zip(fake.split(rows), fake_radii.split(rows), strict=True):
        distances = _squared_distances(block, real)
        among_real += int((distances <= real_radii).any(dim=1).sum())
        covered |= (distances <= radii.unsqueeze(1)).any(dim=0)
    return PrecisionRecall(among_real / fake.shape[0], covered.double().mean().item())


def density_coverage(real: Tensor, fake: Tensor, *, num_neighbors: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020, section 3.2).

    Both ask about balls around the real samples alone, up to the k-th nearest real neighbor: density counts in how
    many a fake sample lies, divided by k; coverage, which of them hold a fake sample. Outliers of the model do not
    make it look diverse, and for equal distributions coverage is about 1 - 2^-k in expectation, for N = M, whatever
    the distribution.

    Args:
        real: features `[N, d]` of data.
        fake: features `[M, d]` of a model's samples.
        num_neighbors: k, 5 as in the paper.

    Raises:
        ValueError: a set has no more than k samples, features of different widths, NaN or infinity.
    """
    real, fake = _pair(real, fake, num_neighbors)
    radii = _squared_radii(real, num_neighbors)
    inside, covered = 0, torch.zeros(real.shape[0], dtype=torch.bool, device=real.device)
    for block in fake.split(_rows(real)):
        within = _squared_distances(block, real) <= radii
        inside += int(within.sum())
        covered |= within.any(dim=0)
    return DensityCoverage(inside / (num_neighbors * fake.shape[0]), covered.double().mean().item())


def _pair(real: Tensor, fake: Tensor, num_neighbors: int) -> tuple[Tensor, Tensor]:
    check_positive("num_neighbors", num_neighbors)
    real, fake = check_pair(real, fake, at_least=num_neighbors + 1)
    # Distances do not change with the origin, and are exacter near it.
    center = real.mean(0)
    return real - center, fake.to(real.device) - center


def _rows(features: Tensor) -> int:
    return max(1, _BLOCK_ELEMENTS // features.shape[0])


def _squared_radii(features: Tensor, num_neighbors: int) -> Tensor:
    """Squared distance `[N]` of each sample to its k-th nearest neighbor, itself not counted.

    With what rounding may hide of it: a sample that is exactly as far away, as copies and samples on a grid are, lies
    among the set in whichever order the products were summed up.
    """
    radii = []
    for start in range(0, features.shape[0], _rows(features)):
        block = features[start : start + _rows(features)]
        distances = _squared_distances(block, features, upper=True)
        own = torch.arange(block.shape[0], device=features.device)
        distances[own, own + start] = float("inf")
        radii.append(distances.topk(num_neighbors, dim=1, largest=False).values[:, -1])
    return torch.cat(radii)


def _squared_distances(first: Tensor, second: Tensor, upper: bool = False) -> Tensor:
    """`[n, m]` by |a|^2 + |b|^2 - 2 a'b: one matrix product, many times faster than differences.

    The least that they may be by their rounding, 0 for copies of a sample; the most with ``upper``.
    """
    norms = first.square().sum(1, keepdim=True) + second.square().sum(1)
    distances = torch.addmm(norms, first, second.T, alpha=-2)
    rounding = norms.mul_(first.shape[1] * torch.finfo(torch.float64).eps)
    return distances.add_(rounding) if upper else distances.sub_(rounding).clamp_(min=0.0)
