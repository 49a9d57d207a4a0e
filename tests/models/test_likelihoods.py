from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.models import BernoulliLikelihood, GaussianLikelihood, build_likelihood


def test_bernoulli_mean_and_log_likelihood():
    likelihood = BernoulliLikelihood()
    logits = torch.tensor([[0.0, 2.0, -3.0]])
    target = torch.tensor([[1.0, 1.0, 0.0]])
    gamma = torch.sigmoid(logits)
    assert torch.equal(likelihood.mean(logits), gamma)
    expected = (target * gamma.log() + (1 - target) * (1 - gamma).log()).sum(1)
    torch.testing.assert_close(likelihood.log_likelihood(logits, target), expected)


def test_bernoulli_samples_are_binary_and_follow_the_logits():
    likelihood = BernoulliLikelihood()
    generator = torch.Generator().manual_seed(0)
    samples = likelihood.sample(torch.full((20000,), math.log(3.0)), generator)
    assert set(samples.unique().tolist()) == {0.0, 1.0}
    assert samples.mean().item() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("variance", ["unit", "shared", "per_pixel"])
def test_gaussian_log_likelihood_equals_torch_distributions(variance):
    likelihood = GaussianLikelihood(variance, (2, 3, 3))
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(4, 2, 3, 3, generator=generator)
    if variance == "per_pixel":
        output = torch.randn(4, 4, 3, 3, generator=generator)
        mean, std = output[:, :2], torch.exp(0.5 * output[:, 2:])
    else:
        output = mean = torch.randn(4, 2, 3, 3, generator=generator)
        if variance == "shared":
            torch.nn.init.constant_(likelihood.logvar, -1.5)
        std = torch.tensor(math.exp(-0.75) if variance == "shared" else 1.0)
    expected = torch.distributions.Normal(mean, std).log_prob(target).flatten(1).sum(1)
    torch.testing.assert_close(likelihood.log_likelihood(output, target), expected)
    assert torch.equal(likelihood.mean(output), mean)


def test_gaussian_samples_have_the_decoders_variance():
    likelihood = GaussianLikelihood("per_pixel", (1,))
    output = torch.tensor([5.0, 2 * math.log(0.1)]).expand(50000, 2)
    samples = likelihood.sample(output, torch.Generator().manual_seed(0))
    assert samples.shape == (50000, 1)
    assert samples.mean().item() == pytest.approx(5.0, abs=0.005)
    assert samples.std().item() == pytest.approx(0.1, rel=0.03)


def test_only_the_shared_variance_is_a_parameter():
    assert [name for name, _ in GaussianLikelihood("shared", (3,)).named_parameters()] == ["logvar"]
    assert not list(GaussianLikelihood("per_pixel", (3,)).parameters())


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="variance: expected one of unit, shared, per_pixel, got 'diag'"):
        GaussianLikelihood("diag", (3,))
    with pytest.raises(ValueError, match="event_shape: expected one or more positive integers"):
        GaussianLikelihood("unit", (3, 0))
    with pytest.raises(ValueError, match="likelihood: expected 'bernoulli' or 'gaussian', got 'poisson'"):
        build_likelihood("poisson", "unit", (3,))
    with pytest.raises(ValueError, match=r"decoder_output: expected shape \[\.\.\., 4, 3\].*got \[5, 2, 3\]"):
        GaussianLikelihood("per_pixel", (2, 3)).split(torch.zeros(5, 2, 3))
