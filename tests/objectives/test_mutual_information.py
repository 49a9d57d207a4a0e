"""The bound on the information of codes against its definition, and what each player of an InfoGAN is moved by."""

from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.models import infogan
from deepgen_fast.objectives import (
    AdversarialObjective,
    InformationObjective,
    categorical_information,
    continuous_information,
)
from deepgen_fast.random import BatchNoise


def test_the_bound_is_the_information_where_q_is_the_posterior():
    """c of three equal values through a channel that keeps it with probability 0.8: I(c; x) by the definition."""
    channel = torch.full((3, 3), 0.1, dtype=torch.float64) + 0.7 * torch.eye(3, dtype=torch.float64)
    joint = channel / 3
    truth = (joint * (joint / (joint.sum(0) * joint.sum(1, keepdim=True))).log()).sum()
    # Every pair (c, x) as often as it comes: ten of each c.
    code = torch.arange(3).repeat_interleave(10)
    seen = torch.cat([torch.arange(3).repeat_interleave((channel[c] * 10).round().long()) for c in range(3)])
    posterior = channel.T.log()  # p(c|x), as all c and all x are equally frequent
    torch.testing.assert_close(categorical_information(posterior[seen], code), truth)
    assert categorical_information(posterior[seen] * 1.5, code) < truth
    sure = torch.where(torch.eye(3, dtype=torch.bool), 0.0, -1e3)[code]
    assert categorical_information(sure, code).item() == pytest.approx(math.log(3), abs=1e-6)
    assert categorical_information(torch.zeros(30, 3), code).item() == pytest.approx(0, abs=1e-6)


def test_continuous_codes_are_gaussians_against_a_uniform_prior():
    generator = torch.Generator().manual_seed(0)
    code = torch.rand(50, 2, generator=generator, dtype=torch.float64) * 2 - 1
    mean, logvar = code + 0.1, torch.full_like(code, -2.0)
    q = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    prior = torch.distributions.Uniform(-torch.ones(2, dtype=torch.float64), 1)
    truth = (q.log_prob(code) - prior.log_prob(code.clamp(-1, 1 - 1e-9))).sum(1).mean()
    torch.testing.assert_close(continuous_information(mean, logvar, code), truth)


@pytest.fixture
def played():
    torch.manual_seed(0)
    model = infogan((1, 8, 8), num_classes=3, width=2, latent_dim=3)
    real = torch.rand(8, 1, 8, 8)
    fake = model.generate(model.draw_latent(8, BatchNoise(), real))
    return model, real, fake


def gradients(model, loss) -> dict[str, torch.Tensor]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name: grad for name, grad in zip(names, found, strict=True) if grad is not None}


def test_both_losses_are_the_game_less_the_weighted_bounds(played):
    model, real, fake = played
    ours, game = InformationObjective(0.7, 0.2, r1=0.5), AdversarialObjective(r1=0.5)
    x, code, continuous = fake
    posterior = model.recognize(x)
    bounds = (categorical_information(posterior.logits, code), continuous_information(*posterior[1:], continuous))
    less = 0.7 * bounds[0] + 0.2 * bounds[1]
    for one, other in (
        (ours.discriminator_loss(model, real, fake), game.discriminator_loss(model, real, fake)),
        (ours.generator_loss(model, fake, real=real), game.generator_loss(model, fake, real=real)),
    ):
        torch.testing.assert_close(one.value, other.value - less)
        assert torch.equal(one.fake_logits, other.fake_logits)
        assert one.parts["categorical_information"].item() == pytest.approx(bounds[0].item())
        assert one.parts["continuous_information"].item() == pytest.approx(bounds[1].item())
    assert set(ours.part_names["discriminator"]) == {"r1", "categorical_information", "continuous_information"}


def test_the_discriminators_player_moves_q_and_the_generators_player_what_q_reads(played):
    model, real, fake = played
    objective, game = InformationObjective(), AdversarialObjective()
    first = gradients(model, objective.discriminator_loss(model, real, fake).value)
    assert all(name.startswith("discriminator.") for name in first)
    assert any(name.startswith("discriminator.codes") and grad.abs().amax() > 0 for name, grad in first.items())
    without = gradients(model, game.discriminator_loss(model, real, fake).value)
    assert not any(name.startswith("discriminator.codes") for name in without)
    shared = "discriminator.trunk.0.0.weight"
    assert not torch.allclose(first[shared], without[shared])  # Q's loss reaches the layers that D shares
    second = gradients(model, objective.generator_loss(model, fake).value)
    plain = gradients(model, game.generator_loss(model, model.generate(_latent_of(model, fake))).value)
    generator = "generator.0.0.weight"
    assert second[generator].shape == plain[generator].shape and not torch.allclose(second[generator], plain[generator])


def _latent_of(model, fake):
    _, code, continuous = fake
    return torch.zeros(len(code), model.latent_dim), code, continuous


def test_validation_has_the_same_game_without_penalties():
    plain = InformationObjective(0.7, 0.2, loss="hinge", r1=1.0).for_validation()
    assert (plain.information_weight, plain.continuous_weight, plain.loss, plain.r1) == (0.7, 0.2, "hinge", 0.0)


@pytest.mark.parametrize("name", ["information_weight", "continuous_weight"])
def test_errors_name_the_argument(name):
    with pytest.raises(ValueError, match=f"{name}: expected a finite number of at least 0, got -1"):
        InformationObjective(**{name: -1.0})
