"""The Fréchet distance against closed forms, scipy and torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from deepgen_fast.metrics import GaussianStatistics, frechet_distance


def standardized(count: int, width: int, seed: int = 0) -> Tensor:
    """Float64 samples whose mean is exactly 0 and whose covariance exactly I, so that closed forms hold exactly."""
    x = torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x - x.mean(0)
    factor = torch.linalg.cholesky(x.T @ x / (count - 1))
    return torch.linalg.solve_triangular(factor, x.T, upper=False).T


def correlated(count: int, width: int, seed: int, offset: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator, dtype=torch.float64) / width**0.5
    return torch.randn(count, width, generator=generator, dtype=torch.float64) @ mixing + offset


def by_scipy(real: Tensor, fake: Tensor) -> float:
    first, second = (np.atleast_2d(np.cov(features.numpy(), rowvar=False)) for features in (real, fake))
    means = (real.mean(0) - fake.mean(0)).square().sum().item()
    return means + (first + second).trace() - 2 * linalg.sqrtm(first @ second).real.trace()


class AsFeatures(nn.Module):
    """torchmetrics' way to give it features: a network that hands them through."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


def by_torchmetrics(real: Tensor, fake: Tensor) -> float:
    metric = FrechetInceptionDistance(feature=AsFeatures(real.shape[1])).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute().item()


def test_shifted_gaussians() -> None:
    x = standardized(500, 6)
    shift = torch.tensor([1.0, -2.0, 0.0, 0.5, 0.0, 3.0], dtype=torch.float64)
    assert frechet_distance(x, x + shift) == pytest.approx(shift.square().sum().item(), rel=1e-12)


def test_scaled_gaussians() -> None:
    # Commuting covariances: |m|^2 + sum (s1 - s2)^2.
    x, y = standardized(400, 4), standardized(300, 4, seed=1)
    first = torch.tensor([1.0, 2.0, 3.0, 0.0], dtype=torch.float64)
    second = torch.tensor([1.0, 0.5, 4.0, 2.0], dtype=torch.float64)
    expected = (first - second).square().sum().item()
    assert frechet_distance(x * first, y * second) == pytest.approx(expected, rel=1e-12)


def test_covariances_that_do_not_commute() -> None:
    # In two dimensions tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB)), by the theorem of Cayley and Hamilton.
    x, y = standardized(200, 2), standardized(200, 2, seed=1)
    first = torch.tensor([[2.0, 0.3], [0.0, 0.5]], dtype=torch.float64)
    second = torch.tensor([[0.2, 0.0], [-1.0, 1.5]], dtype=torch.float64)
    a, b = first.T @ first, second.T @ second
    root = math.sqrt((a @ b).trace().item() + 2 * math.sqrt((a @ b).det().item()))
    expected = (a.trace() + b.trace()).item() - 2 * root
    assert frechet_distance(x @ first, y @ second) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("width", [1, 5, 64])
def test_against_scipy_and_torchmetrics(width: int) -> None:
    real, fake = correlated(700, width, 0), correlated(900, width, 1, offset=0.3)
    distance = frechet_distance(real, fake)
    assert distance == pytest.approx(by_scipy(real, fake), rel=1e-9)
    assert distance == pytest.approx(by_torchmetrics(real, fake), rel=1e-9)
    assert distance == pytest.approx(frechet_distance(fake, real), rel=1e-12)


@pytest.mark.filterwarnings("ignore:.*the covariance is singular")
def test_a_set_is_at_distance_zero_from_itself_also_where_the_covariance_is_singular() -> None:
    for count in (2, 40, 2000):
        x = correlated(count, 100, 0, offset=5.0)
        trace = torch.cov(x.T).trace().item()
        assert abs(frechet_distance(x, x)) < 1e-13 * trace * 100
        assert abs(frechet_distance(x, x.flip(0))) < 1e-13 * trace * 100


@pytest.mark.filterwarnings("ignore:.*the covariance is singular")
def test_singular_covariances_against_a_factor_known_exactly() -> None:
    # tr (S1 S2)^(1/2) is the sum of the singular values of X Y', X and Y the centered samples: no root is taken.
    x, y = correlated(30, 100, 0), correlated(40, 100, 1)
    first, second = (x - x.mean(0)) / 29**0.5, (y - y.mean(0)) / 39**0.5
    expected = (
        (x.mean(0) - y.mean(0)).square().sum()
        + first.square().sum()
        + second.square().sum()
        - 2 * torch.linalg.svdvals(first @ second.T).sum()
    )
    assert frechet_distance(x, y) == pytest.approx(expected.item(), rel=1e-11)
    # The root of eigenvalues that should be zero costs torchmetrics half of its digits.
    assert by_torchmetrics(x, y) == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*the covariance is singular")
def test_constant_features() -> None:
    # A collapsed model: no spread at all.
    real, fake = standardized(50, 3), torch.full((50, 3), 2.0)
    assert frechet_distance(real, fake) == pytest.approx(3 + 12, rel=1e-12)
    assert frechet_distance(fake, fake) == 0.0


def test_dropped_mode_and_more_noise_are_farther() -> None:
    x, modes = correlated(4000, 8, 0), torch.arange(4000) % 4
    real = x + 3 * nn.functional.one_hot(modes, 8)
    again = correlated(4000, 8, 0).roll(1, 0) + 3 * nn.functional.one_hot(modes, 8)
    assert frechet_distance(real, again) < 0.1 < frechet_distance(real, again[modes > 0])
    assert frechet_distance(real, again[modes > 0]) < frechet_distance(real, again[modes > 1])


def test_float32_features_are_summed_in_float64() -> None:
    real, fake = correlated(3000, 16, 0, offset=1000.0).float(), correlated(3000, 16, 1, offset=1000.0).float()
    expected = frechet_distance(real.double() - 1000, fake.double() - 1000)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_batches_give_what_the_whole_gives() -> None:
    x = correlated(1001, 12, 0, offset=1e6)
    statistics = GaussianStatistics(12)
    for batch in x.split(97):
        statistics.update(batch)
    assert statistics.count == 1001
    # Differences from a reference that subtracts the offset first: exact to rounding of the data.
    centered = x - 1e6
    torch.testing.assert_close(statistics.mean - 1e6, centered.mean(0), rtol=0, atol=1e-8)
    torch.testing.assert_close(statistics.covariance, torch.cov(centered.T), rtol=1e-9, atol=1e-9)
    fake = correlated(500, 12, 1, offset=1e6)
    assert frechet_distance(statistics, fake) == pytest.approx(frechet_distance(x, fake), rel=1e-7)
    assert frechet_distance(fake, statistics) == pytest.approx(frechet_distance(x, fake), rel=1e-7)


def test_few_samples_are_told() -> None:
    with pytest.warns(UserWarning, match="fake: 10 samples of 12 features: the covariance is singular"):
        frechet_distance(correlated(50, 12, 0), correlated(10, 12, 1))


@pytest.mark.parametrize(
    ("real", "fake", "error", "message"),
    [
        (torch.zeros(1, 3), torch.zeros(9, 3), ValueError, "real: expected at least 2 samples, got 1"),
        (torch.zeros(9, 3), torch.zeros(0, 3), ValueError, "fake: expected at least 2 samples, got 0"),
        (torch.zeros(9, 3), torch.zeros(9, 4), ValueError, "fake: expected 3 features a sample, .* got 4"),
        (torch.zeros(9, 3, 1), torch.zeros(9, 3), ValueError, r"real: expected features of shape \[N, d\], got \[9, 3"),
        (torch.zeros(9, 3), [[0.0]], TypeError, "fake: expected a tensor of features .*, got list"),
        (torch.zeros(9, 3), GaussianStatistics(3), ValueError, "fake: expected at least 2 samples, got 0"),
        (
            torch.zeros(9, 3),
            torch.tensor([[0.0, 1.0, 2.0], [0.0, float("nan"), 1.0]]),
            ValueError,
            "fake: 1 of 2 samples have NaN or infinite features, the first at row 1",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*the covariance is singular")
def test_bad_arguments(real: object, fake: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        frechet_distance(real, fake)  # type: ignore[arg-type]


def test_statistics_refuse_other_widths_and_single_samples() -> None:
    statistics = GaussianStatistics(3)
    with pytest.raises(ValueError, match="features: expected 3 a sample, got 4"):
        statistics.update(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="a covariance needs at least 2 samples, got 1"):
        _ = statistics.update(torch.zeros(1, 3)).covariance


@pytest.mark.parametrize("width", [1, 3, 40])
def test_a_distance_is_never_negative(width: int) -> None:
    """That of a set to itself neither, or to a copy of it in another order: rounding goes both ways."""
    for seed in range(20):
        features = torch.randn(200, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 3
        assert 0.0 <= frechet_distance(features, features) < 1e-10
        assert 0.0 <= frechet_distance(features, features.flip(0)) < 1e-10
