"""Mixtures of Gaussians: density, exact sampling, and which mode a point belongs to."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, distributions

from deepgen_fast.data import GaussianMixture, grid_of_gaussians, load_dataset, ring_of_gaussians


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reference(mixture: GaussianMixture) -> distributions.Distribution:
    std = mixture.std.unsqueeze(1).expand_as(mixture.means)
    components = distributions.Independent(distributions.Normal(mixture.means, std), 1)
    return distributions.MixtureSameFamily(distributions.Categorical(probs=mixture.weights), components)


MIXTURES = {
    "ring": ring_of_gaussians(),
    "grid": grid_of_gaussians(),
    "line": GaussianMixture([-2.0, 0.5, 3.0], [0.5, 0.2, 1.0], [1.0, 2.0, 5.0]),
    "unequal": GaussianMixture([[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]], [0.3, 2.0], [3.0, 1.0]),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_log_density_is_that_of_torch_distributions(name: str) -> None:
    mixture = MIXTURES[name]
    x = torch.cat((mixture.sample(200, generator=generator(), dtype=torch.float64), 50 * torch.randn(50, mixture.dim)))
    x.requires_grad_()
    expected = reference(mixture).log_prob(x)
    actual = mixture.log_prob(x)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(actual.sum(), x)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), x)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-10)


def test_log_density_of_float32_is_rounded_once() -> None:
    mixture = ring_of_gaussians()
    x = mixture.sample(500, generator=generator())
    torch.testing.assert_close(mixture.log_prob(x), mixture.log_prob(x.double()).float(), rtol=0, atol=0)
    assert mixture.log_prob(torch.full((2, 2), 1e4)).isfinite().all()  # far out: no underflow


@pytest.mark.parametrize("name", MIXTURES)
def test_samples_have_the_weights_means_and_spreads(name: str) -> None:
    mixture, count = MIXTURES[name], 40_000
    x, modes = mixture.sample_with_modes(count, generator=generator(), dtype=torch.float64)
    assert x.shape == (count, mixture.dim)
    counts = modes.bincount(minlength=mixture.num_modes)
    # Four standard errors each: of a binomial count, of a mean, of a standard deviation.
    spread = (count * mixture.weights * (1 - mixture.weights)).sqrt()
    assert ((counts - count * mixture.weights).abs() < 4 * spread).all()
    for mode in range(mixture.num_modes):
        standard = (x[modes == mode] - mixture.means[mode]) / mixture.std[mode]
        error = standard.shape[0] ** -0.5
        assert (standard.mean(0).abs() < 4 * error).all()
        assert abs(standard.std().item() - 1) < 4 * error
        assert ((standard.abs() < 1).double().mean() - math.erf(0.5**0.5)).abs() < 4 * error


def test_sampling_takes_its_generator_alone() -> None:
    mixture = ring_of_gaussians()
    before = torch.get_rng_state()
    first = mixture.sample(10, generator=generator(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, mixture.sample(10, generator=generator(3)))
    assert not torch.equal(first, mixture.sample(10, generator=generator(4)))
    torch.testing.assert_close(first, mixture.sample(10, generator=generator(3), dtype=torch.float64).float())


def test_places_of_ring_and_grid() -> None:
    ring = ring_of_gaussians()
    assert (ring.num_modes, ring.dim) == (8, 2)
    assert ring.means[2].tolist() == pytest.approx([0.0, 1.0], abs=1e-15)
    torch.testing.assert_close(ring.means.norm(dim=1), torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(ring_of_gaussians(3, radius=2.0).means.sum(0), torch.zeros(2, dtype=torch.float64))
    grid = grid_of_gaussians()
    assert (grid.num_modes, grid.dim) == (25, 2)
    assert sorted(map(tuple, grid.means.tolist())) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    assert grid_of_gaussians(1).means.tolist() == [[0.0, 0.0]]
    assert (ring.std == 0.01).all() and (grid.std == 0.05).all()


def test_nearest_mode_counts_in_standard_deviations() -> None:
    mixture = GaussianMixture([0.0, 10.0], [1.0, 4.0])
    # 3 is three deviations from the first and 1.75 from the second, though nearer to the first.
    nearest = mixture.nearest_mode(torch.tensor([[0.0], [3.0], [12.0]]))
    assert nearest.mode.tolist() == [0, 1, 1]
    assert nearest.distance.tolist() == pytest.approx([0.0, 1.75, 0.5])


def test_nearest_mode_finds_the_component_of_well_separated_samples() -> None:
    for mixture in (MIXTURES["ring"], MIXTURES["grid"]):
        x, modes = mixture.sample_with_modes(5000, generator=generator())
        assert torch.equal(mixture.nearest_mode(x).mode, modes)


def test_bounds() -> None:
    low, high = MIXTURES["line"].bounds(4)
    assert (low.item(), high.item()) == pytest.approx((-4.0, 7.0))


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_data_sets(name: str) -> None:
    splits = load_dataset(name)
    assert splits.train.images is not None and splits.train.labels is not None
    assert splits.validation is not None and splits.test is not None and splits.test.images is not None
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [90_000, 10_000, 10_000]
    assert splits.event_shape == (2,)
    nearest = MIXTURES[name].nearest_mode(splits.train.images)
    assert torch.equal(nearest.mode, splits.train.labels)
    again: Tensor | None = load_dataset(name, split_seed=7).test.images  # type: ignore[union-attr]
    assert again is not None and torch.equal(again, splits.test.images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianMixture(torch.zeros(2, 2, 2), 1.0), r"means: .*\[K, d\] or \[K\], got shape \[2, 2, 2\]"),
        (lambda: GaussianMixture([0.0, float("nan")], 1.0), "means: expected finite numbers"),
        (lambda: GaussianMixture([0.0, 1.0], [1.0, 2.0, 3.0]), r"std: expected one number or 2, got shape \[3\]"),
        (lambda: GaussianMixture([0.0, 1.0], 0.0), "std: expected positive finite numbers, got 0.0"),
        (lambda: GaussianMixture([0.0, 1.0], 1.0, [1.0, -1.0]), "weights: expected positive finite numbers"),
        (lambda: ring_of_gaussians(0), "num_modes: expected at least 1, got 0"),
        (lambda: ring_of_gaussians(radius=-1.0), "radius: expected positive finite numbers"),
        (lambda: grid_of_gaussians(0), "side: expected at least 1, got 0"),
        (lambda: ring_of_gaussians().sample(0), "count: expected at least 1, got 0"),
        (lambda: ring_of_gaussians().log_prob(torch.zeros(3)), r"x: expected shape \[..., 2\], got \[3\]"),
    ],
)
def test_bad_arguments(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
