"""JS as a discriminator learns it, beside the closed form; and the figure of its way there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from deepgen_fast import analysis
from deepgen_fast.data import GaussianMixture

PAIRS = {
    "equal": (GaussianMixture([-2.0, 2.0], 0.5), GaussianMixture([-2.0, 2.0], 0.5)),
    "shifted": (GaussianMixture([0.0], 1.0), GaussianMixture([1.0], 1.0)),
    "dropped mode": (GaussianMixture([-3.0, 0.0, 3.0], [0.5, 0.4, 0.6]), GaussianMixture([-3.0, 0.0], [0.5, 0.8])),
    "five narrow modes": (
        GaussianMixture([-4.0, -2.0, 0.0, 2.0, 4.0], 0.2),
        GaussianMixture([-4.0, -2.0, 0.0, 2.0, 4.0], 0.4, [1.0, 2.0, 3.0, 2.0, 1.0]),
    ),
    "far units": (GaussianMixture([5000.0, 5300.0], 40.0), GaussianMixture([5000.0, 5200.0], 60.0)),
    "disjoint": (GaussianMixture([-5.0], 0.5), GaussianMixture([5.0], 0.5)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_estimate_is_within_two_hundredths_of_a_nat(name: str) -> None:
    p, q = PAIRS[name]
    estimate = analysis.estimate_js_divergence(p, q, num_steps=800)
    truth = analysis.js_divergence(p, q)
    assert abs(estimate.value - truth) < 0.02
    assert estimate.value < truth + 4 * estimate.standard_error  # a lower bound, but for the noise of the samples
    assert estimate.standard_error < 0.002


def test_trained_discriminator_is_near_the_optimum_where_there_are_samples() -> None:
    p, q = PAIRS["dropped mode"]
    discriminator = analysis.estimate_js_divergence(p, q, num_steps=800).discriminator
    x = torch.cat((p.sample(2000), q.sample(2000)))
    optimum = analysis.optimal_discriminator(p.log_prob(x), q.log_prob(x))
    with torch.no_grad():
        error = (discriminator(x).flatten().sigmoid() - optimum).abs().mean().item()
    assert error < 0.03


def test_seed_decides_and_the_global_state_is_left_alone() -> None:
    p, q = PAIRS["shifted"]
    before = torch.get_rng_state()
    options = {"num_steps": 20, "num_evaluation_samples": 1000}
    first = analysis.estimate_js_divergence(p, q, seed=1, **options)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert analysis.estimate_js_divergence(p, q, seed=1, **options)[:2] == first[:2]
    assert analysis.estimate_js_divergence(p, q, seed=2, **options)[:2] != first[:2]


def test_a_discriminator_of_ones_own_is_trained_in_place() -> None:
    # The optimum of two Gaussians of one width is linear in x: logit D* = 1/2 - x.
    p, q = PAIRS["shifted"]
    linear = nn.Linear(1, 1)
    estimate = analysis.estimate_js_divergence(p, q, discriminator=linear, lr=0.05, num_steps=500)
    assert estimate.discriminator is linear
    assert linear.weight.item() == pytest.approx(-1.0, abs=0.1)
    assert linear.bias.item() == pytest.approx(0.5, abs=0.1)
    assert abs(estimate.value - analysis.js_divergence(p, q)) < 0.01
    # Its trace: the figure asks in float64, the layer takes float32.
    trace = analysis.DiscriminatorTrace(p, q, curves=(0,))
    trace.record(0, linear)
    assert trace.js[0] == pytest.approx(analysis.js_divergence(p, q), abs=0.01)


def test_untrained_discriminator_is_undecided_and_its_units_bend_where_the_samples_are() -> None:
    example = torch.cat((torch.randn(100, 2) * 0.1, torch.randn(100, 2) * 0.1 + 50))
    discriminator = analysis.mlp_discriminator(example, hidden_dim=64)
    assert discriminator(example).shape == (200, 1) and not discriminator(example).any()  # D = 1/2
    standardize, first = discriminator[:2]
    # At the knot of a unit its input is 0.
    closest = first(standardize(example)).abs().amin(dim=0)
    assert closest.shape == (64,) and closest.max() < 1e-5


def test_generators_can_be_compared_by_samples_alone() -> None:
    class Generator:
        """N(1, 1) as a generator makes it."""

        def sample(self, count: int, *, generator: torch.Generator | None = None) -> torch.Tensor:
            return torch.randn(count, 1, generator=generator) + 1

    p, q = PAIRS["shifted"]
    estimate = analysis.estimate_js_divergence(p, Generator(), num_steps=400)
    assert abs(estimate.value - analysis.js_divergence(p, q)) < 0.02


def test_trace_approaches_the_optimum(tmp_path: Path) -> None:
    p, q = PAIRS["dropped mode"]
    trace = analysis.DiscriminatorTrace(p, q, curves=(0, 20, 400))
    analysis.estimate_js_divergence(p, q, num_steps=400, num_evaluation_samples=1000, on_step=trace.record)
    x = trace.x.unsqueeze(1)
    optimum = analysis.optimal_discriminator(p.log_prob(x), q.log_prob(x))
    mass = p.log_prob(x).exp() + q.log_prob(x).exp()
    errors = [((trace.discriminators[step] - optimum).abs() * mass).sum() / mass.sum() for step in (0, 20, 400)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    truth = analysis.js_divergence(p, q)
    assert max(trace.js.values()) <= truth + 1e-6  # by quadrature: never above
    assert truth - trace.js[400] < 0.02 < truth - trace.js[0]
    path = analysis.draw_discriminator_trace(trace, tmp_path / "new" / "figure.png")
    with Image.open(path) as image:
        assert image.size == (1760, 672)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 100


def test_example_writes_its_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(__file__).resolve().parents[2] / "examples" / "optimal_discriminator.py"
    spec = importlib.util.spec_from_file_location("optimal_discriminator_example", script)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    estimate = example.main(["--out", str(tmp_path / "d.png"), "--steps", "400"])
    said = capsys.readouterr().out
    assert (tmp_path / "d.png").stat().st_size > 10_000
    assert f"{estimate.value:.4f}" in said
    assert abs(estimate.value - analysis.js_divergence(example.DATA, example.MODEL)) < 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": -1}, "num_steps: expected at least 0, got -1"),
        ({"batch_size": 1}, "batch_size: expected at least 2, got 1"),
        ({"num_evaluation_samples": 0}, "num_evaluation_samples: expected at least 2, got 0"),
    ],
)
def test_bad_arguments(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analysis.estimate_js_divergence(*PAIRS["shifted"], **options)


def test_a_discriminator_of_two_logits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"discriminator: expected one logit a sample, \[1024, 1\], got \[1024, 2\]"):
        analysis.estimate_js_divergence(*PAIRS["shifted"], discriminator=nn.Linear(1, 2))


@pytest.mark.parametrize(
    ("example", "options", "message"),
    [
        (torch.zeros(5), {}, r"example: expected samples \[n, d\], two or more, got shape \[5\]"),
        (torch.zeros(1, 2), {}, r"example: expected samples .* got shape \[1, 2\]"),
        (torch.zeros(5, 2), {"hidden_dim": 0}, "hidden_dim: expected at least 1, got 0"),
        (torch.zeros(5, 2), {"num_layers": 0}, "num_layers: expected at least 1, got 0"),
    ],
)
def test_bad_networks(example: torch.Tensor, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analysis.mlp_discriminator(example, **options)


def test_nothing_recorded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trace: nothing was recorded"):
        analysis.draw_discriminator_trace(analysis.DiscriminatorTrace(*PAIRS["shifted"]), tmp_path / "d.png")
