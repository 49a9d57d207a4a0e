"""Modes found and high-quality samples on the ring and the grid."""

from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.data import GaussianMixture, grid_of_gaussians, ring_of_gaussians
from deepgen_fast.metrics import modes_found


def draw(mixture: GaussianMixture, count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return mixture.sample_with_modes(count, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("mixture", [ring_of_gaussians(), grid_of_gaussians()], ids=["ring", "grid"])
def test_samples_of_the_mixture_itself(mixture: GaussianMixture) -> None:
    x, modes = draw(mixture, 20_000)
    coverage = modes_found(x, mixture)
    assert (coverage.num_found, coverage.num_modes) == (mixture.num_modes, mixture.num_modes)
    # Within three standard deviations in the plane: the Rayleigh distribution's 1 - exp(-9/2).
    expected = 1 - math.exp(-4.5)
    assert abs(coverage.high_quality_fraction - expected) < 4 * (expected * (1 - expected) / 20_000) ** 0.5
    assert coverage.counts.sum() == round(coverage.high_quality_fraction * 20_000)
    assert (coverage.counts <= modes.bincount(minlength=mixture.num_modes)).all()
    # The divergence of an empirical distribution over K cells from the true one is about (K - 1) / 2N.
    assert 0 <= coverage.divergence < 3 * mixture.num_modes / 20_000


@pytest.mark.parametrize("kept", [[0], [1, 2, 6], list(range(7))])
def test_dropped_modes(kept: list[int]) -> None:
    ring = ring_of_gaussians()
    x, modes = draw(ring, 20_000)
    coverage = modes_found(x[torch.isin(modes, torch.tensor(kept))], ring)
    assert coverage.num_found == len(kept)
    assert coverage.counts.nonzero().flatten().tolist() == kept
    assert coverage.high_quality_fraction > 0.98
    assert coverage.divergence == pytest.approx(math.log(8 / len(kept)), abs=0.01)


def test_the_radius_is_three_standard_deviations() -> None:
    ring = ring_of_gaussians()
    for angle in (0.0, 1.0, 2.5):
        direction = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
        assert modes_found(ring.means[3:4] + 0.0299 * direction, ring).high_quality_fraction == 1.0
        assert modes_found(ring.means[3:4] + 0.0301 * direction, ring).high_quality_fraction == 0.0
    assert modes_found(ring.means[3:4] + 0.0301 * direction, ring, num_std=4).num_found == 1


def test_points_between_the_modes_are_of_no_quality() -> None:
    coverage = modes_found(torch.zeros(100, 2), ring_of_gaussians())
    assert (coverage.num_found, coverage.high_quality_fraction, coverage.divergence) == (0, 0.0, math.inf)
    assert coverage.counts.tolist() == [0] * 8


def test_a_mode_needs_min_samples() -> None:
    grid = grid_of_gaussians()
    x = torch.cat((grid.means[0:1].repeat(5, 1), grid.means[7:8], torch.full((4, 2), 100.0)))
    assert modes_found(x, grid).num_found == 2
    assert modes_found(x, grid, min_samples=2).num_found == 1
    assert modes_found(x, grid, min_samples=6).num_found == 0
    assert modes_found(x, grid).high_quality_fraction == 0.6


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (torch.zeros(0, 2), {}, "samples: expected at least 1 samples, got 0"),
        (torch.zeros(5, 3), {}, "samples: expected points of 2 coordinates, got 3"),
        (torch.full((5, 2), float("nan")), {}, "samples: 5 of 5 samples have NaN"),
        (torch.zeros(5, 2), {"num_std": 0.0}, "num_std: expected a positive number, got 0.0"),
        (torch.zeros(5, 2), {"min_samples": 0}, "min_samples: expected at least 1, got 0"),
    ],
)
def test_bad_arguments(samples: torch.Tensor, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        modes_found(samples, ring_of_gaussians(), **options)  # type: ignore[arg-type]
