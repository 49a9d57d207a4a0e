"""Bayes' rule over a class-conditional density that is known in closed form."""

from __future__ import annotations

import pytest
import torch
from linear_gaussian import ExactEncoder, linear_gaussian_vae
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from deepgen_fast.metrics import (
    class_log_likelihoods,
    class_log_prior,
    evaluate_elbo,
    generative_classification,
    importance_weighted_log_likelihood,
)
from deepgen_fast.models import ConditionalVAE, GaussianLikelihood, two_layer_vae

SIZE, CLASSES = 6, 3


class ShiftedEncoder(nn.Module):
    """Of x moved by its class; q(z|x, y) is exact, or wider."""

    def __init__(self, exact: ExactEncoder, shifts: Tensor) -> None:
        super().__init__()
        self.exact = exact
        self.register_buffer("shifts", shifts)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.exact(x - y @ self.shifts)


class ShiftedDecoder(nn.Module):
    def __init__(self, linear: nn.Module, shifts: Tensor) -> None:
        super().__init__()
        self.linear = linear
        self.register_buffer("shifts", shifts)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.linear(z) + y @ self.shifts


def model_of(widen: float = 0.0) -> tuple[ConditionalVAE, list[MultivariateNormal]]:
    """x = W z + b + shift_y + noise, and p(x|y) of every class."""
    plain, marginal = linear_gaussian_vae(SIZE, 2, widen)
    shifts = 1.5 * torch.randn(CLASSES, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    model = ConditionalVAE(
        ShiftedEncoder(plain.encoder, shifts), ShiftedDecoder(plain.decoder, shifts), num_classes=CLASSES,
        event_shape=(SIZE,), latent_dim=2, likelihood=GaussianLikelihood("unit", (SIZE,)),
    )  # fmt: skip
    densities = [MultivariateNormal(marginal.loc + shift, marginal.covariance_matrix) for shift in shifts]
    return model.double(), densities


def data(densities: list[MultivariateNormal], labels: Tensor) -> Tensor:
    torch.manual_seed(0)
    return torch.stack([densities[label].sample() for label in labels.tolist()])


def test_log_likelihoods_are_exact_where_the_posterior_is():
    model, densities = model_of()
    labels = torch.arange(60) % CLASSES
    x = data(densities, labels)
    expected = torch.stack([density.log_prob(x) for density in densities], 1)
    torch.testing.assert_close(class_log_likelihoods(model, x, 3, chunk_size=7), expected, rtol=0, atol=1e-9)
    given = importance_weighted_log_likelihood(model, (x, labels), 2)
    torch.testing.assert_close(given, expected.gather(1, labels[:, None])[:, 0], rtol=0, atol=1e-9)
    assert evaluate_elbo(model, (x, labels), num_samples=200).elbo == pytest.approx(given.mean().item(), abs=0.1)


def test_the_posterior_is_bayes_rule():
    model, densities = model_of()
    prior = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    labels = torch.multinomial(prior, 2000, replacement=True, generator=torch.Generator().manual_seed(0))
    x = data(densities, labels)
    joint = torch.stack([density.log_prob(x) for density in densities], 1).exp() * prior
    found = generative_classification(model, x, class_log_prior(labels, CLASSES), 1)
    share = labels.bincount().double() / len(labels)
    expected = joint / prior * share
    torch.testing.assert_close(found.log_posterior.exp(), expected / expected.sum(1, keepdim=True))
    torch.testing.assert_close(found.log_p.exp(), expected.sum(1))
    right = (expected.argmax(1) == labels).double().mean().item()
    assert found.accuracy(labels) == right > 0.8
    # By equal shares the rule is another, and worse.
    assert generative_classification(model, x, None, 1).accuracy(labels) < right


def test_the_noise_is_shared_by_the_classes():
    """With q wider than p(z|x, y) estimates err, but here by the noise alone: alike for all classes."""
    model, densities = model_of(widen=1.0)
    x = data(densities, torch.arange(100) % CLASSES)
    exact = torch.stack([density.log_prob(x) for density in densities], 1)
    few, many = (class_log_likelihoods(model, x, count) for count in (1, 1000))
    errors = [(estimate - exact).abs().mean() for estimate in (few, many)]
    assert errors[0] > 10 * errors[1] > 0
    found = generative_classification(model, x, num_samples=1).log_posterior
    torch.testing.assert_close(found, torch.log_softmax(exact, 1), rtol=0, atol=1e-9)


def test_a_class_that_never_comes_has_no_share():
    prior = class_log_prior(torch.tensor([0, 0, 2, 0]), 3)
    assert prior.exp().tolist() == [0.75, 0.0, 0.25]
    model, densities = model_of()
    found = generative_classification(model, data(densities, torch.tensor([1, 1, 1])), prior, 1)
    assert (found.predicted != 1).all() and torch.isfinite(found.log_p).all()


def test_progress_counts_examples_of_every_class():
    model, densities = model_of()
    seen: list[tuple[int, int]] = []
    class_log_likelihoods(
        model, data(densities, torch.zeros(5, dtype=torch.int64)), 2, progress=lambda *at: seen.append(at)
    )
    assert seen[-1] == (15, 15) and seen == sorted(seen)


def test_wrong_arguments_are_named():
    model, densities = model_of()
    x = data(densities, torch.tensor([0, 1]))
    with pytest.raises(TypeError, match=r"model: expected one of p\(x\|y\), such as a ConditionalVAE, got a VAE"):
        generative_classification(two_layer_vae((SIZE,), 4, 2), x)
    with pytest.raises(ValueError, match=r"log_prior: expected shape \[3\], got \[2\]"):
        generative_classification(model, x, torch.zeros(2))
    with pytest.raises(ValueError, match="labels: expected integers from 0 to 1, got 0 to 2"):
        class_log_prior(torch.tensor([0, 2]), 2)
    with pytest.raises(ValueError, match=r"labels: expected one an example, \[2\], got \[3\]"):
        generative_classification(model, x).accuracy(torch.zeros(3))
    with pytest.raises(ValueError, match=r"x: a ConditionalVAE takes labels: .* got a tensor alone"):
        evaluate_elbo(model, x)
