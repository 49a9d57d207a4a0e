"""The losses of a pyramid's levels, added up: what the players of each level would minimize alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from deepgen_fast.models import lapgan
from deepgen_fast.objectives import AdversarialObjective, PyramidObjective
from deepgen_fast.random import BatchNoise


@pytest.fixture
def model():
    torch.manual_seed(0)
    return lapgan((1, 16, 16), width=4, latent_dim=5).double()


@pytest.fixture
def pair(model):
    """Real examples and generated ones beside them."""
    generator = torch.Generator().manual_seed(1)
    real = model.from_data(torch.rand(6, 1, 16, 16, generator=generator, dtype=torch.float64))
    return real, model.generate(model.draw_latent(6, BatchNoise(generator), real))


def test_it_is_the_sum_of_equation_2_over_the_levels(model, pair):
    real, fake = pair
    found = PyramidObjective().discriminator_loss(model, real, fake)
    values = []
    for level in range(3):
        logits = [model.discriminate_at(level, example[level]) for example in (real, fake)]
        values.append(
            F.binary_cross_entropy_with_logits(logits[0], torch.ones_like(logits[0]))
            + F.binary_cross_entropy_with_logits(logits[1], torch.zeros_like(logits[1]))
        )
    torch.testing.assert_close(found.value, sum(values))
    for level, value in enumerate(values):
        torch.testing.assert_close(found.parts[f"level_{level}"], value.detach())
    assert found.real_logits.shape == found.fake_logits.shape == (18,)
    generated = PyramidObjective().generator_loss(model, fake)
    expected = sum(F.softplus(-model.discriminate_at(level, fake[level])).mean() for level in range(3))
    torch.testing.assert_close(generated.value, expected)
    assert generated.real_logits is None and set(generated.parts) == {"level_0", "level_1", "level_2"}


def test_together_each_level_learns_what_it_learns_alone(model, pair):
    real, fake = pair
    judging, generating = (list(networks["1"].parameters()) for networks in (model.discriminator, model.generator))

    class Level:
        discriminate = staticmethod(lambda part: model.discriminate_at(1, part))

    def gradients(judged, generated):
        return [
            *torch.autograd.grad(judged.value, judging),
            *torch.autograd.grad(generated.value, generating, retain_graph=True),
        ]

    objective, plain = PyramidObjective(r1=2.0), AdversarialObjective(r1=2.0)
    together = gradients(objective.discriminator_loss(model, real, fake), objective.generator_loss(model, fake))
    alone = gradients(plain.discriminator_loss(Level, real[1], fake[1]), plain.generator_loss(Level, fake[1]))
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)
        assert other.abs().max() > 0


def test_penalties_look_at_every_level(model, pair):
    real, fake = pair
    plain = PyramidObjective().discriminator_loss(model, real, fake)
    found = PyramidObjective(r1=3.0).discriminator_loss(model, real, fake)
    squared = 0.0
    for level, part in enumerate(real):
        image = (part if level == 2 else part[0] + part[1]).detach().requires_grad_()
        logits = model.discriminate_at(level, image if level == 2 else (image, torch.zeros_like(image)))
        (gradient,) = torch.autograd.grad(logits.sum(), image)
        squared = squared + gradient.square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(found.parts["r1"], squared)
    torch.testing.assert_close(found.value, plain.value + 1.5 * squared)


def test_parts_are_those_of_the_models_levels(model):
    objective = PyramidObjective("hinge", r1=1.0)
    levels = ("level_0", "level_1", "level_2")
    assert objective.parts_of(model) == {"discriminator": (*levels, "r1"), "generator": levels}
    alone = lapgan((1, 16, 16), level="1", width=2)
    assert objective.parts_of(alone) == {"discriminator": ("level_1", "r1"), "generator": ("level_1",)}
    assert AdversarialObjective(r1=1.0).parts_of(model) == {"discriminator": ("r1",)}
    plain = objective.for_validation()
    assert isinstance(plain, PyramidObjective) and (plain.loss, plain.r1) == ("hinge", 0.0)
