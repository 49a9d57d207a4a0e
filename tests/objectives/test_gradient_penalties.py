"""Penalties against closed forms, and their gradients through fused blocks against the plain layers'."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from deepgen_fast.nn import DiscriminatorBlock
from deepgen_fast.objectives import AdversarialObjective, gradient_penalty, squared_gradient_norm
from deepgen_fast.random import BatchNoise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


class Critic(nn.Module):
    """Judges tensors, or (tensor, scale) pairs, by a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def discriminate(self, example):
        if isinstance(example, tuple):
            return self.network(example[0]).flatten(1).sum(1) * example[1]
        return self.network(example).flatten(1).sum(1)


def linear(weight: torch.Tensor) -> Critic:
    layer = nn.Linear(len(weight), 1, dtype=torch.float64)
    layer.weight.data.copy_(weight.unsqueeze(0))
    return Critic(layer)


def test_penalties_of_a_linear_critic():
    """Its gradient is its weight everywhere."""
    weight = draw(6)
    critic, x = linear(weight), draw(4, 6, seed=1).requires_grad_()
    norm = weight.norm()
    torch.testing.assert_close(squared_gradient_norm(critic.discriminate(x), x), norm**2)
    penalty = gradient_penalty(critic.discriminate, x, draw(4, 6, seed=2))
    torch.testing.assert_close(penalty, (norm - 1) ** 2)
    penalty.backward()
    torch.testing.assert_close(critic.network.weight.grad[0], 2 * (norm - 1) * weight / norm)


def test_penalties_of_a_quadratic_critic():
    """logit = |x|^2 / 2 has gradient x, so R1 is the mean squared norm, and WGAN-GP sees the points between."""

    class Quadratic:
        @staticmethod
        def discriminate(x):
            return 0.5 * x.flatten(1).square().sum(1)

    x = draw(4, 2, 3).requires_grad_()
    torch.testing.assert_close(
        squared_gradient_norm(Quadratic.discriminate(x), x), x.detach().flatten(1).square().sum(1).mean()
    )
    fake = draw(4, 2, 3, seed=1)
    place = torch.rand(4, 1, 1, generator=seeded(5), dtype=torch.float64)
    between = (place * x + (1 - place) * fake).detach().flatten(1)
    expected = (between.norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(gradient_penalty(Quadratic.discriminate, x, fake, BatchNoise(seeded(5))), expected)


def test_a_critic_without_slope_gets_finite_gradients():
    critic = linear(torch.zeros(3, dtype=torch.float64))
    penalty = gradient_penalty(critic.discriminate, draw(2, 3), draw(2, 3))
    penalty.backward()
    assert penalty.item() == 1.0
    assert torch.isfinite(critic.network.weight.grad).all()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"fake: expected the shape of real, \[2, 3\], got \[2, 4\]"):
        gradient_penalty(lambda x: x.sum(1), draw(2, 3), draw(2, 4))


def blocks(norm: bool) -> Critic:
    torch.manual_seed(0)
    layers = [
        DiscriminatorBlock(3, 8, norm=False, dtype=torch.float64),
        DiscriminatorBlock(8, 16, norm=norm, dtype=torch.float64),
        DiscriminatorBlock(16, 1, 4, 1, 0, norm=False, activation=None, dtype=torch.float64),
    ]
    return Critic(nn.Sequential(*layers))


def plain(critic: Critic) -> Critic:
    """The same layers, one by one."""
    return Critic(nn.Sequential(*(layer for block in copy.deepcopy(critic.network) for layer in nn.Sequential(*block))))


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_penalty_through_blocks_is_that_through_plain_layers(norm, dtype):
    ours = blocks(norm).to(dtype)
    theirs = plain(ours)
    real, fake = (draw(5, 3, 16, 16, seed=seed).to(dtype) for seed in (1, 2))
    objective = AdversarialObjective(gradient_penalty=10.0, r1=2.0, r2=3.0)
    losses = []
    for critic in (ours, theirs):
        loss = objective.discriminator_loss(critic, real, fake, noise=BatchNoise(seeded(7)))
        loss.value.backward()
        losses.append(loss)
    tolerance = {"rtol": 1e-9, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 2e-4, "atol": 2e-5}
    torch.testing.assert_close(losses[0].value, losses[1].value, **tolerance)
    assert losses[0].parts.keys() == {"r1", "r2", "gradient_penalty"}
    for first, second in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(first.grad, second.grad, **tolerance)


def test_the_gradient_of_a_penalty_is_right():
    """Central differences of the penalty along random directions of the weights."""
    critic = blocks(norm=True)
    x = draw(4, 3, 16, 16, seed=3).requires_grad_()

    def value() -> torch.Tensor:
        return squared_gradient_norm(critic.discriminate(x), x)

    value().backward()
    for parameter in critic.parameters():
        direction = torch.randn(parameter.shape, generator=seeded(4), dtype=torch.float64)
        # A bias that no norm follows moves the logit, not its slope.
        slope = torch.zeros((), dtype=torch.float64) if parameter.grad is None else (parameter.grad * direction).sum()
        step = 1e-6
        with torch.no_grad():
            parameter.add_(direction, alpha=step)
        above = value().detach()
        with torch.no_grad():
            parameter.sub_(direction, alpha=2 * step)
        below = value().detach()
        with torch.no_grad():
            parameter.add_(direction, alpha=step)
        torch.testing.assert_close((above - below) / (2 * step), slope, rtol=1e-4, atol=1e-7)


def test_the_objective_adds_up():
    weight = draw(6)
    critic, real, fake = linear(weight), draw(4, 6, seed=1), draw(4, 6, seed=2).requires_grad_()
    plain_loss = AdversarialObjective().discriminator_loss(critic, real, fake)
    objective = AdversarialObjective(gradient_penalty=10.0, r1=2.0, r2=3.0, penalty_every=4)
    squared = weight.square().sum()
    for step, share in ((0, 4), (1, 0), (3, 0), (4, 4)):
        loss = objective.discriminator_loss(critic, real, fake, step=step)
        penalties = 10 * (weight.norm() - 1) ** 2 + 1.0 * squared + 1.5 * squared
        torch.testing.assert_close(loss.value, plain_loss.value + share * penalties)
        assert bool(loss.parts) is bool(share)
    loss.value.backward()
    assert fake.grad is None and not real.requires_grad  # what made the examples gets nothing
    generated = objective.generator_loss(critic, fake)
    generated.value.backward()
    assert fake.grad is not None and generated.real_logits is None


def test_examples_may_carry_a_condition():
    critic, scale = linear(draw(3)), torch.tensor([1.0, 2.0], dtype=torch.float64)
    real, fake = (draw(2, 3, seed=1), scale), (draw(2, 3, seed=2), scale)
    loss = AdversarialObjective("wasserstein", gradient_penalty=1.0, r1=1.0).discriminator_loss(critic, real, fake)
    norms = scale * critic.network.weight.norm()
    torch.testing.assert_close(loss.parts["gradient_penalty"], (norms - 1).square().mean().detach())
    torch.testing.assert_close(loss.parts["r1"], norms.square().mean().detach())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "best"}, "loss: expected one of"),
        ({"r1": -1.0}, "r1: expected a finite number of at least 0, got -1"),
        ({"gradient_penalty": float("inf")}, "gradient_penalty: expected a finite number"),
        ({"penalty_every": 0}, "penalty_every: expected at least 1, got 0"),
        ({"loss": "wasserstein", "label_smoothing": 0.1}, "label_smoothing: loss='wasserstein' has no labels"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        AdversarialObjective(**options)


def test_noise_of_shared_batches_is_that_of_the_whole():
    like = torch.zeros(1)
    whole = BatchNoise(seeded()).uniform((6, 2), like)
    parts = [BatchNoise(seeded(), (6, slice(start, start + 3))).uniform((3, 2), like) for start in (0, 3)]
    assert torch.equal(torch.cat(parts), whole)
