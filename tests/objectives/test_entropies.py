"""Entropies of a CatGAN against their definitions, and what each player's loss is made of."""

from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.models import catgan
from deepgen_fast.objectives import CategoricalObjective, certainty_logits, entropies, marginal_entropy


def h(p: torch.Tensor) -> torch.Tensor:
    return torch.distributions.Categorical(probs=p).entropy()


@pytest.fixture
def logits():
    return 3 * torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_entropies_are_those_of_the_probabilities(logits):
    p = logits.softmax(1)
    torch.testing.assert_close(entropies(logits), h(p))
    torch.testing.assert_close(marginal_entropy(logits), h(p.mean(0)))
    torch.testing.assert_close(entropies(logits + 7), h(p))


@pytest.mark.parametrize("scale", [0.0, 1e3, 1e30])
def test_extremes_are_finite_with_their_gradients(scale):
    extreme = (scale * torch.eye(5)).requires_grad_()
    found = entropies(extreme).sum() + marginal_entropy(extreme) + certainty_logits(extreme).sum()
    (gradient,) = torch.autograd.grad(found, extreme)
    assert torch.isfinite(found) and torch.isfinite(gradient).all()
    assert marginal_entropy(extreme).item() == pytest.approx(math.log(5), rel=1e-5)
    assert entropies(extreme)[0].item() == pytest.approx(math.log(5) if scale == 0 else 0.0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_largest_logits_of_a_dtype(dtype):
    """Their differences are out of the dtype's range."""
    extreme = torch.tensor([[6e4, -6e4, -6e4], [0.0, 0.5, -6e4]], dtype=dtype)
    extreme.requires_grad_()
    found = entropies(extreme)
    total = found.sum() + marginal_entropy(extreme) + certainty_logits(extreme).sum()
    (gradient,) = torch.autograd.grad(total, extreme)
    assert found.dtype == torch.float32 and gradient.dtype == dtype
    assert torch.isfinite(total) and torch.isfinite(gradient).all()
    assert found[0].item() == 0.0


def test_entropies_of_half_logits_are_summed_in_float32(logits):
    half = logits.half()
    for quantity in (entropies, marginal_entropy, certainty_logits):
        torch.testing.assert_close(quantity(half), quantity(half.float()), rtol=0, atol=0)


def test_certainty_is_the_sigmoid_of_its_logit_and_half_of_it_the_threshold(logits):
    certainty = 1 - h(logits.softmax(1)) / math.log(4)
    torch.testing.assert_close(certainty_logits(logits).sigmoid(), certainty)
    assert torch.equal(certainty_logits(logits) > 0, h(logits.softmax(1)) < math.log(4) / 2)
    extremes = certainty_logits(torch.tensor([[0.0, 0.0], [100.0, 0.0]])).sigmoid()
    assert extremes.tolist() == pytest.approx([0.0, 1.0], abs=1e-5)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return catgan((1, 8, 8), num_classes=3, width=2, latent_dim=3, noise=0.0)


@pytest.fixture
def examples():
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(8, 1, 8, 8, generator=generator) for _ in range(3)]


def test_losses_are_the_equations(model, examples):
    x, made, few = examples
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    real = x, torch.full((8,), -1)
    p, q, r = (model.classify(images).softmax(1) for images in (x, made, few))
    game = -(h(p.mean(0)) - h(p).mean() + h(q).mean())
    cross_entropy = -r[torch.arange(8), labels].log().mean()

    unsupervised = CategoricalObjective(0.7).discriminator_loss(model, real, made)
    torch.testing.assert_close(unsupervised.value, game)
    assert set(unsupervised.parts) == {"marginal_entropy", "real_entropy", "fake_entropy"}

    loss = CategoricalObjective(0.7).discriminator_loss(model, real, made, labeled=(few, labels))
    torch.testing.assert_close(loss.value, game + 0.7 * cross_entropy)
    assert loss.parts["accuracy"].item() == (r.argmax(1) == labels).double().mean().item()
    torch.testing.assert_close(loss.parts["cross_entropy"], cross_entropy)
    assert torch.equal(loss.real_logits, certainty_logits(model.classify(x)))

    generator = CategoricalObjective().generator_loss(model, made, real=real)
    torch.testing.assert_close(generator.value, h(q).mean() - h(q.mean(0)))
    torch.testing.assert_close(generator.parts["entropy"], h(q).mean())


def test_labels_of_the_real_examples_serve_where_no_others_come(model, examples):
    """In validation."""
    x, made, _ = examples
    labels = torch.tensor([2, -1, 0, -1, -1, 1, 1, -1])
    parts = CategoricalObjective().for_validation().discriminator_loss(model, (x, labels), made).parts
    chosen = labels >= 0
    expected = torch.nn.functional.cross_entropy(model.classify(x)[chosen], labels[chosen])
    torch.testing.assert_close(parts["cross_entropy"], expected)
    assert "accuracy" not in CategoricalObjective().discriminator_loss(model, x, made).parts


def test_the_discriminators_loss_does_not_reach_the_generator(model, examples):
    fake = model.generate(model.draw_latent(8))
    loss = CategoricalObjective().discriminator_loss(model, examples[0], fake)
    found = torch.autograd.grad(loss.value, model.generator_parameters(), allow_unused=True)
    assert all(gradient is None for gradient in found)


def test_a_weight_out_of_range_is_named():
    with pytest.raises(ValueError, match="label_weight: expected a finite number of at least 0, got -1"):
        CategoricalObjective(-1)
