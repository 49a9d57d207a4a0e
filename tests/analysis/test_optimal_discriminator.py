"""D*, the minimax value, and the Jensen-Shannon divergence against their definitions and scipy's integrals."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import integrate
from torch import Tensor

from deepgen_fast import analysis
from deepgen_fast.data import GaussianMixture, ring_of_gaussians

LOG_2 = math.log(2)

PAIRS = {
    "shifted": (GaussianMixture([0.0], 1.0), GaussianMixture([1.0], 1.0)),
    "widened": (GaussianMixture([0.0], 1.0), GaussianMixture([0.0], 2.0)),
    "dropped mode": (GaussianMixture([-3.0, 0.0, 3.0], 0.5), GaussianMixture([-3.0, 0.0], 0.5)),
    "narrow": (GaussianMixture([0.0, 5.0], [0.01, 1.0]), GaussianMixture([0.005, 5.0], [0.02, 1.5], [1.0, 2.0])),
}


def js_by_scipy(p: GaussianMixture, q: GaussianMixture) -> float:
    """KL(p || m) / 2 + KL(q || m) / 2, with m the mean of the densities, piece by piece."""

    def density(mixture: GaussianMixture, x: float) -> float:
        return mixture.log_prob(torch.tensor([x], dtype=torch.float64)).exp().item()

    def integrand(x: float) -> float:
        a, b = density(p, x), density(q, x)
        m = (a + b) / 2
        return sum(0.5 * value * math.log(value / m) for value in (a, b) if value > 0)

    # An end at every few standard deviations of every component, so that none is overlooked.
    ends = sorted(
        {
            round(mean + k * std, 9)
            for mixture in (p, q)
            for mean, std in zip(mixture.means[:, 0].tolist(), mixture.std.tolist(), strict=True)
            for k in (-10, -4, -1, 0, 1, 4, 10)
        }
    )
    pieces = itertools.pairwise(ends)
    return sum(integrate.quad(integrand, low, high, epsabs=1e-12, epsrel=1e-10)[0] for low, high in pieces)


def optimum(p: GaussianMixture, q: GaussianMixture):
    return lambda x: analysis.optimal_logit(p.log_prob(x), q.log_prob(x))


def test_optimal_discriminator_is_the_ratio_of_densities() -> None:
    p, q = torch.rand(100, dtype=torch.float64) + 0.01, torch.rand(100, dtype=torch.float64) + 0.01
    torch.testing.assert_close(analysis.optimal_discriminator(p.log(), q.log()), p / (p + q), rtol=1e-12, atol=0)
    torch.testing.assert_close(analysis.optimal_logit(p.log(), q.log()), (p / q).log(), rtol=1e-10, atol=1e-12)


def test_optimal_discriminator_maximizes_the_integrand_at_every_point() -> None:
    # By search over D, as exercise 13-1 asks for by derivative.
    grid = torch.linspace(1e-4, 1 - 1e-4, 9999, dtype=torch.float64)
    for a, b in ((0.3, 0.7), (2.0, 0.01), (1e-3, 5.0), (1.0, 1.0)):
        best = grid[(a * grid.log() + b * (1 - grid).log()).argmax()]
        value = analysis.optimal_discriminator(torch.tensor(math.log(a)), torch.tensor(math.log(b)))
        assert abs(value.item() - best.item()) < 1e-4


def test_densities_that_underflow() -> None:
    low, high = torch.tensor([-2000.0, -1000.0]), torch.tensor([-1000.0, -2000.0])
    assert analysis.optimal_discriminator(low, high).tolist() == [0.0, 1.0]
    assert analysis.optimal_logit(low, high).tolist() == [-1000.0, 1000.0]
    far = torch.tensor([[1e3], [-1e3]])
    p, q = PAIRS["shifted"]
    assert analysis.optimal_discriminator(p.log_prob(far), q.log_prob(far)).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("name", PAIRS)
def test_divergence_is_that_of_scipy(name: str) -> None:
    p, q = PAIRS[name]
    truth = js_by_scipy(p, q)
    assert 0.001 < truth < LOG_2
    assert analysis.js_divergence(p, q) == pytest.approx(truth, abs=1e-8)
    assert analysis.js_divergence(q, p) == pytest.approx(truth, abs=1e-8)


@pytest.mark.parametrize("name", PAIRS)
def test_minimax_value_at_the_optimum(name: str) -> None:
    # Equation 13.40 with both sides computed independently.
    p, q = PAIRS[name]
    value = analysis.exact_minimax_value(p, q, optimum(p, q))
    assert value == pytest.approx(analysis.minimax_value_at_optimum(js_by_scipy(p, q)), abs=2e-8)


def test_limits() -> None:
    p = GaussianMixture([-1.0, 2.0], [0.3, 1.0])
    assert analysis.js_divergence(p, p) == pytest.approx(0.0, abs=1e-12)
    assert analysis.minimax_value_at_optimum(0.0) == pytest.approx(-2 * LOG_2)
    assert analysis.js_divergence(p, GaussianMixture([100.0], 1.0)) == pytest.approx(LOG_2, abs=1e-12)
    assert analysis.minimax_value_at_optimum(LOG_2) == pytest.approx(0.0, abs=1e-15)
    # A mode of weight 1/3 dropped, the others kept apart: sum over the cells of two discrete distributions.
    p, q = PAIRS["dropped mode"]
    a, b = 1 / 3, 1 / 2
    kept = 0.5 * a * math.log(2 * a / (a + b)) + 0.5 * b * math.log(2 * b / (a + b))
    assert analysis.js_divergence(p, q) == pytest.approx(2 * kept + LOG_2 / 6, abs=5e-3)


@pytest.mark.parametrize("js", [0.0, 0.1, LOG_2])
def test_divergence_and_value_are_inverse(js: float) -> None:
    assert analysis.js_from_minimax_value(analysis.minimax_value_at_optimum(js)) == pytest.approx(js, abs=1e-15)


@pytest.mark.parametrize("name", PAIRS)
def test_no_discriminator_beats_the_optimum(name: str) -> None:
    p, q = PAIRS[name]
    best = analysis.exact_minimax_value(p, q, optimum(p, q))
    for change in (
        lambda x, logit: 0.9 * logit,
        lambda x, logit: 1.1 * logit,
        lambda x, logit: logit + 0.1,
        lambda x, logit: logit + 0.3 * torch.sin(x.squeeze(1)),
        lambda x, logit: torch.zeros_like(logit),
    ):
        value = analysis.exact_minimax_value(p, q, lambda x, change=change: change(x, optimum(p, q)(x)))
        assert value < best - 1e-6
    assert value == pytest.approx(-2 * LOG_2)  # D = 1/2 everywhere


def test_samples_estimate_the_value() -> None:
    p, q = PAIRS["shifted"]
    generator = torch.Generator().manual_seed(0)
    errors = []
    for _ in range(50):
        real, fake = p.sample(2000, generator=generator), q.sample(3000, generator=generator)
        estimate = analysis.minimax_value(optimum(p, q)(real), optimum(p, q)(fake))
        errors.append((estimate.value - analysis.exact_minimax_value(p, q, optimum(p, q))) / estimate.standard_error)
    standardized = torch.tensor(errors)
    # Normal with variance 1, if the standard error is right.
    assert abs(standardized.mean().item()) < 4 / 50**0.5
    assert 0.7 < standardized.std().item() < 1.4


def test_value_of_certain_discriminators_is_finite() -> None:
    right = analysis.minimax_value(torch.full((10,), 1e4), torch.full((10,), -1e4))
    assert right == (0.0, 0.0)
    wrong = analysis.minimax_value(torch.full((10,), -1e4), torch.full((10,), 1e4))
    assert wrong.value == pytest.approx(-2e4)


def test_works_in_any_dimension_by_samples() -> None:
    # Ring against the ring without its first mode: JS = cells, as above, and the modes do not overlap.
    ring = ring_of_gaussians()
    model = GaussianMixture(ring.means[1:], 0.01)
    generator = torch.Generator().manual_seed(0)
    real, fake = ring.sample(50_000, generator=generator), model.sample(50_000, generator=generator)

    def logit(x: Tensor) -> Tensor:
        return analysis.optimal_logit(ring.log_prob(x), model.log_prob(x))

    estimate = analysis.minimax_value(logit(real), logit(fake))
    a, b = 1 / 8, 1 / 7
    js = LOG_2 / 16 + 7 * 0.5 * (a * math.log(2 * a / (a + b)) + b * math.log(2 * b / (a + b)))
    assert abs(analysis.js_from_minimax_value(estimate.value) - js) < 4 * estimate.standard_error / 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: analysis.optimal_logit(torch.zeros(3), torch.zeros(4)), r"log_p_model: expected the shape of .*\[4\]"),
        (lambda: analysis.minimax_value(torch.zeros(1), torch.zeros(4)), "real_logits: expected at least 2 samples"),
        (lambda: analysis.minimax_value(torch.zeros(4), torch.zeros(0)), "fake_logits: expected at least 2 samples"),
        (
            lambda: analysis.js_divergence(GaussianMixture([0.0], 1.0), ring_of_gaussians()),
            "p_model: expected a density on the line, d = 1, got d = 2",
        ),
        (
            lambda: analysis.exact_minimax_value(*PAIRS["shifted"], lambda x: torch.zeros(3)),
            r"logit: expected \d+ numbers for as many points, got \[3\]",
        ),
        (
            lambda: analysis.js_divergence(GaussianMixture([0.0, 1e9], 1e-3), GaussianMixture([0.0], 1.0)),
            "p_data, p_model: components too narrow for the distance between them",
        ),
    ],
)
def test_bad_arguments(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
