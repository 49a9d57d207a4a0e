"""The importance-weighted estimate against models whose log p(x) is known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from linear_gaussian import linear_gaussian_vae
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deepgen_fast.metrics import evaluate_elbo, importance_weighted_log_likelihood
from deepgen_fast.models.likelihoods import BernoulliLikelihood
from deepgen_fast.models.vae import VAE


def draw(marginal: torch.distributions.Distribution, count: int) -> Tensor:
    torch.manual_seed(0)
    return marginal.sample((count,))


@pytest.mark.parametrize("num_samples", [1, 2, 7])
def test_exact_posterior_gives_log_p_exactly(num_samples: int) -> None:
    # With q(z|x) = p(z|x) every weight is p(x): no variance, whatever the number of samples.
    model, marginal = linear_gaussian_vae()
    x = draw(marginal, 16)
    estimate = importance_weighted_log_likelihood(model, x, num_samples)
    torch.testing.assert_close(estimate, marginal.log_prob(x), rtol=0, atol=1e-10)


def test_converges_to_log_p() -> None:
    model, marginal = linear_gaussian_vae(widen=1.0)
    x = draw(marginal, 200)
    truth = marginal.log_prob(x)
    errors = [
        (importance_weighted_log_likelihood(model, x, num_samples) - truth).square().mean().sqrt().item()
        for num_samples in (1, 10, 100, 1000, 10000)
    ]
    # The error of a Monte Carlo mean falls by sqrt(10) a step; half of that leaves room for chance.
    assert all(later < earlier / 1.6 for earlier, later in itertools.pairwise(errors)), errors
    assert errors[-1] < 0.02


def test_lies_between_elbo_and_log_p_in_expectation() -> None:
    model, marginal = linear_gaussian_vae(widen=1.0)
    x = draw(marginal, 2000)
    elbo = evaluate_elbo(model, x, num_samples=20).elbo
    few = importance_weighted_log_likelihood(model, x, 5).mean().item()
    many = importance_weighted_log_likelihood(model, x, 100).mean().item()
    assert elbo < few < many < marginal.log_prob(x).mean().item() + 0.01


def test_float32_model_matches_float64() -> None:
    model, marginal = linear_gaussian_vae(widen=0.5)
    x = draw(marginal, 8)
    estimate = importance_weighted_log_likelihood(model, x, 500)
    single, _ = linear_gaussian_vae(widen=0.5, dtype=torch.float32)
    estimate32 = importance_weighted_log_likelihood(single, x.float(), 500)
    assert estimate32.dtype == torch.float64
    torch.testing.assert_close(estimate32, estimate, rtol=1e-5, atol=0)


@pytest.mark.parametrize("chunk_size", [1, 7, 64, 300, 1000, 5000])
def test_chunking_changes_rounding_alone(chunk_size: int) -> None:
    # 300 samples an example: below that a chunk cuts the samples, above it joins several examples.
    model, marginal = linear_gaussian_vae(widen=1.0)
    x = draw(marginal, 9)
    expected = importance_weighted_log_likelihood(model, x, 300, chunk_size=300)
    estimate = importance_weighted_log_likelihood(model, x, 300, chunk_size=chunk_size, encoder_batch_size=4)
    torch.testing.assert_close(estimate, expected, rtol=1e-13, atol=1e-13)


def test_other_examples_do_not_matter() -> None:
    model, marginal = linear_gaussian_vae(widen=1.0)
    x = draw(marginal, 6)
    alone = importance_weighted_log_likelihood(model, x[:2], 50)
    together = importance_weighted_log_likelihood(model, x, 50)
    torch.testing.assert_close(together[:2], alone, rtol=1e-13, atol=1e-13)


def test_seed_decides_and_global_state_is_left_alone() -> None:
    model, marginal = linear_gaussian_vae(widen=1.0)
    x = draw(marginal, 4)
    before = torch.get_rng_state()
    first = importance_weighted_log_likelihood(model, x, 20, seed=3)
    assert torch.equal(first, importance_weighted_log_likelihood(model, x, 20, seed=3))
    assert not torch.equal(first, importance_weighted_log_likelihood(model, x, 20, seed=4))
    assert torch.equal(before, torch.get_rng_state())


def test_log_weights_survive_underflow() -> None:
    # log p(x|z) near -1e6: exp of it is 0 in any dtype, so only a log-sum-exp gets through.
    model, marginal = linear_gaussian_vae()
    x = draw(marginal, 2) + 1000.0
    estimate = importance_weighted_log_likelihood(model, x, 10, chunk_size=3)
    torch.testing.assert_close(estimate, marginal.log_prob(x), rtol=1e-9, atol=0)


class LargestTensor(TorchDispatchMode):
    """Records the element count of the largest tensor any operator returns."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        sizes = (leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        self.elements = max(self.elements, *sizes, 0)
        return result


@pytest.mark.parametrize(("num_samples", "num_examples"), [(2000, 3), (2000, 12), (16, 500)])
def test_memory_stays_within_the_stated_bound(num_samples: int, num_examples: int) -> None:
    dimension, chunk_size = 200, 256
    model, marginal = linear_gaussian_vae(dimension=dimension, widen=1.0)
    x = draw(marginal, num_examples)
    with LargestTensor() as largest:
        importance_weighted_log_likelihood(model, x, num_samples, chunk_size=chunk_size, encoder_batch_size=32)
    assert chunk_size * dimension // 2 < largest.elements <= chunk_size * dimension


class TwoLevelDecoder(nn.Module):
    """Logits that depend on the signs of z alone: z integrates out to four equally likely patterns."""

    def __init__(self, patterns: Tensor) -> None:
        super().__init__()
        self.register_buffer("patterns", patterns)  # [4, D]

    def forward(self, z: Tensor) -> Tensor:
        return self.patterns[(z[..., 0] > 0).long() + 2 * (z[..., 1] > 0).long()]


class ConstantEncoder(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = torch.full((x.shape[0], 2), 0.3, dtype=x.dtype)
        return mean, torch.full_like(mean, 0.4)


def test_bernoulli_decoder_with_enumerable_latents() -> None:
    torch.manual_seed(0)
    patterns = 2.0 * torch.randn(4, 5, dtype=torch.float64)
    model = VAE(
        ConstantEncoder(), TwoLevelDecoder(patterns), event_shape=(5,), latent_dim=2, likelihood=BernoulliLikelihood()
    )
    x = torch.randint(0, 2, (12, 5)).double()
    per_pattern = torch.distributions.Bernoulli(logits=patterns).log_prob(x[:, None]).sum(-1)  # [12, 4]
    truth = torch.logsumexp(per_pattern, dim=1) - math.log(4)
    estimate = importance_weighted_log_likelihood(model, x, 40_000, chunk_size=4096)
    torch.testing.assert_close(estimate, truth, rtol=0, atol=0.04)


def test_progress_counts_examples() -> None:
    model, marginal = linear_gaussian_vae()
    calls: list[tuple[int, int]] = []
    importance_weighted_log_likelihood(
        model, draw(marginal, 5), 10, chunk_size=20, progress=lambda *state: calls.append(state)
    )
    assert calls == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("form", ["std", "pre_softplus"])
def test_scale_forms_agree(form: str) -> None:
    model, marginal = linear_gaussian_vae(widen=1.0)
    x = draw(marginal, 4)
    expected = importance_weighted_log_likelihood(model, x, 20)
    std = (0.5 * model.encoder.logvar).exp()
    model.encoder.logvar.copy_(std if form == "std" else std.expm1().log())
    model.scale = form
    torch.testing.assert_close(importance_weighted_log_likelihood(model, x, 20), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples: expected at least 1, got 0"),
        ({"chunk_size": -1}, "chunk_size: expected at least 1, got -1"),
        ({"x": torch.zeros(0, 6)}, r"x: expected at least one example, .* got \(0, 6\)"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    model, _ = linear_gaussian_vae()
    with pytest.raises(ValueError, match=message):
        importance_weighted_log_likelihood(model, **{"x": torch.zeros(2, 6), **arguments})
    with pytest.raises(TypeError, match="num_samples: expected an integer, got float"):
        importance_weighted_log_likelihood(model, torch.zeros(2, 6), 5e3)
