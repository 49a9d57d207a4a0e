"""Fréchet distance of two sets of features: FID, with features of any extractor."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from deepgen_fast.metrics.evaluation import check_positive
from deepgen_fast.metrics.features import check_features


class GaussianStatistics:
    """Mean and covariance of features, gathered batch by batch: d^2 numbers, however many samples.

    Batches are joined by the parallel update of Chan, Golub and LeVeque (1979) in float64. The sums of x and of x x'
    that are kept elsewhere lose the covariance where the mean is large.

    Args:
        num_features: d.
        device: where the sums are kept.
    """

    def __init__(self, num_features: int, device: torch.device | str = "cpu") -> None:
        check_positive("num_features", num_features)
        self.count = 0
        self.mean = torch.zeros(num_features, dtype=torch.float64, device=device)
        self._scatter = torch.zeros(num_features, num_features, dtype=torch.float64, device=device)

    @classmethod
    def of(cls, features: Tensor) -> GaussianStatistics:
        """Statistics of features `[N, d]`."""
        features = check_features("features", features, at_least=1)
        return cls(features.shape[1], features.device).update(features)

    def update(self, features: Tensor) -> GaussianStatistics:
        """Take in features `[b, d]`, and return self.

        Raises:
            ValueError: they are not finite, or of another width.
        """
        features = check_features("features", features, at_least=1)
        if features.shape[1] != len(self.mean):
            raise ValueError(f"features: expected {len(self.mean)} a sample, got {features.shape[1]}")
        features = features.to(self.mean.device)
        batch = features.shape[0]
        batch_mean = features.mean(0)
        centered = features - batch_mean
        difference = batch_mean - self.mean
        total = self.count + batch
        self._scatter.addmm_(centered.T, centered)
        self._scatter.addr_(difference, difference, alpha=self.count * batch / total)
        self.mean = self.mean + difference * (batch / total)
        self.count = total
        return self

    @property
    def covariance(self) -> Tensor:
        """`[d, d]`, divided by N - 1.

        Raises:
            ValueError: fewer than two samples were seen.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 samples, got {self.count}")
        return self._scatter / (self.count - 1)


def frechet_distance(real: Tensor | GaussianStatistics, fake: Tensor | GaussianStatistics) -> float:
    """Squared Fréchet (2-Wasserstein) distance of the Gaussians fitted to two sets of features.

    `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`, S the covariances divided by N - 1. On the features of an Inception
    network this is FID (Heusel et al. 2017, equation 6).

    The trace of the root is the sum of the singular values of F1' F2, where S = F F' by the eigenvalues of each
    covariance, in float64. No root of a nearly zero eigenvalue of the product S1 S2 is taken, so singular covariances
    cost no digits, and the distance of a set to itself is 0 to rounding. What rounding leaves below 0 is 0.

    A distance from few samples is too large, by a bias that falls as 1/N and grows with d: compare distances from the
    same number of samples only.

    Args:
        real: features `[N, d]` of data, or their `GaussianStatistics`.
        fake: features `[M, d]` of a model's samples, or their `GaussianStatistics`.

    Returns:
        The distance, in squared units of the features, never negative.

    Raises:
        ValueError: fewer than two samples in a set, features of different widths, NaN or infinity.

    Warns:
        UserWarning: a set has no more samples than features: its covariance is singular and the bias large.
    """
    first, second = _statistics("real", real), _statistics("fake", fake)
    if len(first.mean) != len(second.mean):
        raise ValueError(f"fake: expected {len(first.mean)} features a sample, as real has, got {len(second.mean)}")
    root = _factor(first.covariance).T @ _factor(second.covariance).to(first.mean.device)
    means = (first.mean - second.mean.to(first.mean.device)).square().sum()
    spread = first.covariance.trace() + second.covariance.trace().to(first.mean.device)
    return max(0.0, (means + spread - 2 * torch.linalg.svdvals(root).sum()).item())


def _statistics(name: str, features: Tensor | GaussianStatistics) -> GaussianStatistics:
    if isinstance(features, GaussianStatistics):
        if features.count < 2:
            raise ValueError(f"{name}: expected at least 2 samples, got {features.count}")
        statistics = features
    else:
        statistics = GaussianStatistics.of(check_features(name, features, at_least=2))
    if statistics.count <= len(statistics.mean):
        warnings.warn(
            f"{name}: {statistics.count} samples of {len(statistics.mean)} features: the covariance is singular, and "
            "the distance much larger than that of the distributions",
            UserWarning,
            stacklevel=3,
        )
    return statistics


def _factor(covariance: Tensor) -> Tensor:
    """F `[d, r]` with S = F F', r the rank: what is below rounding of the largest eigenvalue is no eigenvalue."""
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
    kept = eigenvalues > eigenvalues[-1] * len(eigenvalues) * torch.finfo(torch.float64).eps
    return eigenvectors[:, kept] * eigenvalues[kept].sqrt()
