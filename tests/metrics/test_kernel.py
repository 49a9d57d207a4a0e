"""The kernel distance against sums written out, moments in closed form, and torchmetrics."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

from deepgen_fast.metrics import kernel, kernel_distance


def draw(count: int, width: int, seed: int, offset: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64) + offset


def by_loops(real: Tensor, fake: Tensor) -> float:
    """The unbiased estimate, pair by pair."""

    def k(x: Tensor, y: Tensor) -> float:
        return (x.dot(y).item() / len(x) + 1) ** 3

    def within(points: Tensor) -> float:
        pairs = [(i, j) for i in range(len(points)) for j in range(len(points)) if i != j]
        return sum(k(points[i], points[j]) for i, j in pairs) / len(pairs)

    between = sum(k(x, y) for x in real for y in fake) / (len(real) * len(fake))
    return within(real) + within(fake) - 2 * between


@pytest.mark.parametrize(("n", "m"), [(2, 2), (7, 11), (20, 5)])
def test_is_the_sum_over_pairs(n: int, m: int) -> None:
    real, fake = draw(n, 4, 0), draw(m, 4, 1, offset=1.0)
    value = kernel_distance(real, fake, subset_size=None).value
    assert value == pytest.approx(by_loops(real, fake), rel=1e-11, abs=1e-11)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_agrees_with_torchmetrics() -> None:
    real, fake = draw(300, 16, 0), draw(300, 16, 1, offset=0.5)

    class AsFeatures(nn.Module):
        num_features = 16

        def forward(self, x: Tensor) -> Tensor:
            return x

    # One subset of all samples: nothing is left to chance.
    metric = KernelInceptionDistance(feature=AsFeatures(), subsets=1, subset_size=300).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    value = kernel_distance(real, fake, subset_size=None).value
    assert value == pytest.approx(metric.compute()[0].item(), rel=1e-9)


def test_blocks_change_rounding_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = draw(101, 3, 0), draw(77, 3, 1, offset=0.5)
    whole = kernel_distance(real, fake, subset_size=None).value
    monkeypatch.setattr(kernel, "_BLOCK_ELEMENTS", 200)
    assert kernel_distance(real, fake, subset_size=None).value == pytest.approx(whole, rel=1e-12)


def test_expectation_in_closed_form() -> None:
    # (x y + 1)^3 compares moments: MMD^2 = sum_j C(3, j) (E x^j - E y^j)^2. For N(0, 1) against N(1, 1) the first
    # three moments differ by 1, 1 and 4: 3 * 1 + 3 * 1 + 16.
    estimates = torch.tensor(
        [
            kernel_distance(draw(1000, 1, seed), draw(1000, 1, 1000 + seed, offset=1.0), subset_size=None).value
            for seed in range(60)
        ]
    )
    assert abs(estimates.mean().item() - 22) < 3 * estimates.std().item() / 60**0.5
    equal = torch.tensor(
        [kernel_distance(draw(500, 1, seed), draw(300, 1, 1000 + seed), subset_size=None).value for seed in range(60)]
    )
    assert abs(equal.mean().item()) < 3 * equal.std().item() / 60**0.5
    assert (equal < 0).any()  # unbiased: not held above zero


def test_subsets() -> None:
    real, fake = draw(400, 8, 0), draw(500, 8, 1, offset=0.5)
    whole = kernel_distance(real, fake, subset_size=None)
    assert math.isnan(whole.standard_deviation)
    before = torch.get_rng_state()
    some = kernel_distance(real, fake, subset_size=100, num_subsets=60, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    # The mean over subsets has the whole's expectation; its error is that of 60 estimates, hardly dependent.
    assert abs(some.value - whole.value) < 4 * some.standard_deviation / 60**0.5
    assert some == kernel_distance(real, fake, subset_size=100, num_subsets=60, seed=3)
    assert some != kernel_distance(real, fake, subset_size=100, num_subsets=60, seed=4)


def test_float32_features_keep_their_digits() -> None:
    real, fake = draw(500, 64, 0, offset=40).float(), draw(500, 64, 1, offset=40.01).float()
    exact = poly_mmd(real.double(), fake.double()).item()
    assert kernel_distance(real, fake, subset_size=None).value == pytest.approx(exact, rel=1e-6)
    # What float32 would have given: the test shows something.
    assert poly_mmd(real, fake).item() != pytest.approx(exact, rel=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "real: 50 samples are fewer than subset_size 1000; pass a smaller one, or None"),
        ({"subset_size": 45}, "fake: 40 samples are fewer than subset_size 45"),
        ({"subset_size": 1}, "subset_size: expected at least 2, got 1"),
        ({"num_subsets": 0}, "num_subsets: expected at least 1, got 0"),
    ],
)
def test_bad_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel_distance(draw(50, 2, 0), draw(40, 2, 1), **arguments)


def test_too_few_samples() -> None:
    with pytest.raises(ValueError, match="fake: expected at least 2 samples, got 1"):
        kernel_distance(draw(50, 2, 0), draw(1, 2, 1), subset_size=None)
