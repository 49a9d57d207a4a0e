"""Kernel distance of two sets of features: KID, with features of any extractor."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from deepgen_fast.metrics.evaluation import check_positive
from deepgen_fast.metrics.features import check_pair

# Elements of a block of the kernel matrix: 64 MB in float64, whatever the number of samples.
_BLOCK_ELEMENTS = 1 << 23


class KernelDistance(NamedTuple):
    """Mean of the estimates over the subsets, and their standard deviation (NaN for a single estimate)."""

    value: float
    standard_deviation: float


def kernel_distance(
    real: Tensor, fake: Tensor, *, subset_size: int | None = 1000, num_subsets: int = 100, seed: int = 0
) -> KernelDistance:
    """Unbiased estimate of the squared maximum mean discrepancy under k(x, y) = (x'y / d + 1)^3.

    On the features of an Inception network this is KID (Binkowski et al. 2018, section 4). Its expectation does not
    depend on the number of samples, as that of the Fréchet distance does; it is zero for equal distributions, so an
    estimate can be negative. Computed in float64.

    Args:
        real: features `[N, d]` of data.
        fake: features `[M, d]` of a model's samples.
        subset_size: samples of each set in one estimate, drawn without replacement; 1,000 is the paper's. None
            takes all samples in one estimate: the one with the least variance, and nothing is drawn.
        num_subsets: estimates to average, 100 in the paper; not used when subset_size is None.
        seed: decides the subsets. The global random state is neither read nor changed.

    Raises:
        ValueError: a set has fewer samples than subset_size (than 2, for None), features of different widths, NaN or
            infinity.
    """
    if subset_size is not None and check_positive("subset_size", subset_size) < 2:
        raise ValueError(f"subset_size: expected at least 2, got {subset_size}")
    check_positive("num_subsets", num_subsets)
    real, fake = check_pair(real, fake, at_least=2)
    fake = fake.to(real.device)
    if subset_size is None:
        return KernelDistance(_estimate(real, fake), math.nan)
    for name, features in (("real", real), ("fake", fake)):
        if features.shape[0] < subset_size:
            raise ValueError(
                f"{name}: {features.shape[0]} samples are fewer than subset_size {subset_size}; "
                "pass a smaller one, or None for one estimate from all samples"
            )
    generator = torch.Generator().manual_seed(seed)

    def subset(features: Tensor) -> Tensor:
        rows = torch.randperm(features.shape[0], generator=generator)[:subset_size]
        return features[rows.to(features.device)]

    estimates = torch.tensor([_estimate(subset(real), subset(fake)) for _ in range(num_subsets)], dtype=torch.float64)
    spread = estimates.std().item() if num_subsets > 1 else math.nan
    return KernelDistance(estimates.mean().item(), spread)


def _estimate(real: Tensor, fake: Tensor) -> float:
    """Lemma 6 of Gretton et al. 2012: the means of k over pairs of different samples, and over mixed pairs."""
    (n, m) = real.shape[0], fake.shape[0]
    within_real = (_kernel_sum(real, real) - _kernel_of_itself(real)) / (n * (n - 1))
    within_fake = (_kernel_sum(fake, fake) - _kernel_of_itself(fake)) / (m * (m - 1))
    return (within_real + within_fake - 2 * _kernel_sum(real, fake) / (n * m)).item()


def _kernel_sum(first: Tensor, second: Tensor) -> Tensor:
    """Sum of k over all pairs, a block of rows at a time."""
    rows = max(1, _BLOCK_ELEMENTS // second.shape[0])
    width = first.shape[1]
    return torch.stack([(block @ second.T / width + 1).pow_(3).sum() for block in first.split(rows)]).sum()


def _kernel_of_itself(features: Tensor) -> Tensor:
    """Sum of k(x, x)."""
    return (features.square().sum(1) / features.shape[1] + 1).pow(3).sum()
