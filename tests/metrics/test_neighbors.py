"""Precision, recall, density and coverage against their definitions written out, and known answers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from deepgen_fast.metrics import density_coverage, neighbors, precision_recall


def draw(count: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_loops(real: Tensor, fake: Tensor, k: int) -> tuple[float, float, float, float]:
    """The four definitions, sample by sample."""

    def distance(x: Tensor, y: Tensor) -> float:
        return (x - y).norm().item()

    def radii(points: Tensor) -> list[float]:
        return [sorted(distance(x, y) for j, y in enumerate(points) if j != i)[k - 1] for i, x in enumerate(points)]

    real_radii, fake_radii = radii(real), radii(fake)
    inside = [[distance(x, y) <= radius for x, radius in zip(real, real_radii, strict=True)] for y in fake]
    precision = sum(any(row) for row in inside) / len(fake)
    recall = sum(any(distance(x, y) <= radius for y, radius in zip(fake, fake_radii, strict=True)) for x in real) / len(
        real
    )
    density = sum(sum(row) for row in inside) / (k * len(fake))
    coverage = sum(any(column) for column in zip(*inside, strict=True)) / len(real)
    return precision, recall, density, coverage


@pytest.mark.parametrize(("n", "m", "k"), [(40, 40, 3), (60, 35, 5), (10, 50, 1), (6, 6, 5)])
def test_are_their_definitions(n: int, m: int, k: int) -> None:
    real, fake = draw(n, 3, 0), 0.7 * draw(m, 3, 1) + 0.6
    expected = by_loops(real, fake, k)
    actual = (*precision_recall(real, fake, num_neighbors=k), *density_coverage(real, fake, num_neighbors=k))
    assert actual == pytest.approx(expected, rel=1e-12)
    assert 0 < expected[0] < 1 or k == 5  # the case tells something


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = draw(211, 4, 0), 0.8 * draw(150, 4, 1) + 0.5
    whole = precision_recall(real, fake), density_coverage(real, fake)
    monkeypatch.setattr(neighbors, "_BLOCK_ELEMENTS", 1000)
    assert (precision_recall(real, fake), density_coverage(real, fake)) == whole


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_identical_sets(k: int, offset: float) -> None:
    # Every sample lies in its own ball and, on average, in k others: density is (k + 1) / k.
    x = draw(300, 10, 0) + offset
    assert precision_recall(x, x, num_neighbors=k) == (1.0, 1.0)
    assert density_coverage(x, x, num_neighbors=k) == pytest.approx(((k + 1) / k, 1.0), rel=1e-12)


def test_far_apart_sets() -> None:
    x, y = draw(100, 5, 0), draw(100, 5, 1) + 100
    assert precision_recall(x, y) == (0.0, 0.0)
    assert density_coverage(x, y) == (0.0, 0.0)


@pytest.mark.parametrize("width", [1, 2, 20])
def test_equal_distributions_have_the_expected_density_and_coverage(width: int) -> None:
    # Naeem et al. 2020, section 3.3: density 1, coverage 1 - prod_{i<=k} (N - i) / (N + M - i), whatever the
    # distribution.
    n, m, k = 400, 300, 5
    results = [density_coverage(draw(n, width, seed), draw(m, width, 1000 + seed)) for seed in range(40)]
    density = torch.tensor([result.density for result in results])
    coverage = torch.tensor([result.coverage for result in results])
    expected = 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    assert abs(coverage.mean().item() - expected) < 4 * coverage.std().item() / 40**0.5
    assert abs(density.mean().item() - 1) < 4 * density.std().item() / 40**0.5


def test_dropped_modes_cost_diversity_and_noise_costs_fidelity() -> None:
    mode = torch.arange(400) % 4
    real = draw(400, 2, 0) + 50 * torch.stack((mode % 2, mode // 2), dim=1)
    fake = draw(400, 2, 1) + 50 * torch.stack((mode % 2, mode // 2), dim=1)
    dropped = fake[mode < 2].repeat(2, 1) + 1e-3 * draw(400, 2, 2)
    fidelity, depth = precision_recall(real, dropped), density_coverage(real, dropped)
    assert fidelity.precision > 0.9 and fidelity.recall < 0.5
    assert depth.density > 0.8 and depth.coverage <= 0.5
    noisy = torch.cat((fake[:200], 1000 + 1000 * draw(200, 2, 3)))
    assert precision_recall(real, noisy).precision < 0.55
    assert 0.4 < density_coverage(real, noisy).density < 0.6


def test_outliers_of_the_model_raise_recall_and_not_coverage() -> None:
    # Why density and coverage exist: the ball of a far sample reaches to the others, and takes in the data between.
    far = 30 * torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    real, fake = draw(200, 2, 0), torch.cat((draw(196, 2, 1) * 0.01, far))
    assert precision_recall(real, fake).recall > 0.95
    assert density_coverage(real, fake).coverage < 0.3


def test_copies_are_at_distance_zero() -> None:
    # More copies than neighbors: balls of radius 0, which hold their copies.
    x = draw(20, 30, 0).repeat_interleave(6, dim=0) * 1000
    assert precision_recall(x, x[::6].repeat_interleave(5, dim=0)) == (1.0, 1.0)
    assert density_coverage(x, x).coverage == 1.0
    assert precision_recall(x, x + 1e-3 * draw(120, 30, 1)).precision == 0.0


@pytest.mark.parametrize(("step", "origin"), [(1.0, 0.0), (0.125, 33.25), (2.0**-10, -7.75)])
@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_ties_lie_within(k: int, step: float, origin: float) -> None:
    """On a grid many samples are exactly as far away as the k-th neighbor: rounding does not decide which count."""
    grid = torch.cartesian_prod(*(torch.arange(6),) * 3)
    real, fake = (
        grid[torch.randperm(len(grid), generator=torch.Generator().manual_seed(seed))[:149]] for seed in (0, 1)
    )

    def squared(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return (one[:, None] - other[None]).square().sum(-1)

    radii = squared(real, real).sort(1).values[:, k]
    fake_radii = squared(fake, fake).sort(1).values[:, k]
    within = squared(fake, real) <= radii
    covered = (squared(fake, real) <= fake_radii[:, None]).any(0)
    scaled = [origin + step * points.double() for points in (real, fake)]
    assert density_coverage(*scaled, num_neighbors=k) == pytest.approx(
        (within.double().sum().item() / (k * len(fake)), within.any(0).double().mean().item()), rel=1e-12
    )
    assert precision_recall(*scaled, num_neighbors=k) == pytest.approx(
        (within.any(1).double().mean().item(), covered.double().mean().item()), rel=1e-12
    )


def test_float32_is_measured_in_float64() -> None:
    real, fake = draw(150, 8, 0, torch.float32) + 1000, draw(150, 8, 1, torch.float32) * 0.9 + 1000
    assert precision_recall(real, fake) == precision_recall(real.double(), fake.double())
    assert (*precision_recall(real, fake), *density_coverage(real, fake, num_neighbors=3)) == pytest.approx(
        by_loops(real.double(), fake.double(), 3)
    )


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
@pytest.mark.parametrize(
    ("n", "m", "k", "message"),
    [
        (5, 50, 5, "real: expected at least 6 samples, got 5"),
        (50, 3, 3, "fake: expected at least 4 samples, got 3"),
        (50, 50, 0, "num_neighbors: expected at least 1, got 0"),
    ],
)
def test_bad_arguments(metric: object, n: int, m: int, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(draw(n, 2, 0), draw(m, 2, 1), num_neighbors=k)  # type: ignore[operator]
