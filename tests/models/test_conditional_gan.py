"""The conditional GAN: where labels go, which ones are drawn, and that both players depend on them."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.models import conditional_gan
from deepgen_fast.models.conditional_gan import LabelBesideNoise, LabelPlane
from deepgen_fast.random import BatchNoise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["convolutional", "fully_connected"])
def model(request):
    torch.manual_seed(0)
    return conditional_gan((1, 8, 8), num_classes=3, network=request.param, width=4, latent_dim=5).eval()


def test_generated_labels_are_the_real_ones_or_come_in_turn(model):
    real = torch.zeros(4, 1, 8, 8), torch.tensor([2, 2, 0, 1])
    z, labels = model.draw_latent(4, BatchNoise(seeded()), real)
    assert z.shape == (4, 5) and labels is real[1]
    assert model.draw_latent(7)[1].tolist() == [0, 1, 2, 0, 1, 2, 0]
    x, handed_on = model.generate((z, labels))
    assert x.shape == (4, 1, 8, 8) and handed_on is labels
    assert model.discriminate((x, labels)).shape == (4,)


def test_both_players_look_at_the_label(model):
    """Also in the gradient: D(x, y) has, for the same x, another slope under another label, not only another value."""
    z, x = torch.randn(6, 5, generator=seeded(1)), torch.rand(6, 1, 8, 8, generator=seeded(2)).requires_grad_()
    first, second = torch.zeros(6, dtype=torch.int64), torch.ones(6, dtype=torch.int64)
    assert (model.decode((z, first)) - model.decode((z, second))).abs().amax() > 1e-4
    slopes = [torch.autograd.grad(model.discriminate((x, labels)).sum(), x)[0] for labels in (first, second)]
    assert (slopes[0] - slopes[1]).abs().amax() > 1e-3 * slopes[0].abs().amax()


def test_samples_of_chosen_labels(model):
    z = model.draw_latent(4, BatchNoise(seeded(3)))[0]
    chosen = torch.tensor([2, 0, 0, 1])
    assert torch.equal(model.sample(4, seeded(3), labels=chosen), model.decode((z, chosen)))
    assert torch.equal(model.sample(4, seeded(3), labels=[2, 0, 0, 1]), model.decode((z, chosen)))
    assert torch.equal(model.sample(4, seeded(3), labels=2), model.decode((z, torch.full((4,), 2))))
    assert torch.equal(model.sample(4, seeded(3)), model.decode((z, torch.tensor([0, 1, 2, 0]))))
    assert model.sample(0, labels=[]).shape == (0, 1, 8, 8)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"labels: expected 4, or one for all, got shape \[2\]"),
        (3, "labels: expected 0 to 2, got 3 to 3"),
        ([0, -1, 0, 0], "labels: expected 0 to 2, got -1 to 0"),
        (torch.zeros(4), "labels: expected integers, got torch.float32"),
    ],
)
def test_labels_that_cannot_be_drawn_are_named(model, labels, message):
    with pytest.raises(ValueError, match=message):
        model.sample(4, labels=labels)


def test_the_label_is_numbers_beside_z_and_a_channel_beside_x():
    z, labels = torch.randn(2, 3), torch.tensor([1, 0])
    beside = LabelBesideNoise(torch.nn.Identity(), 2)(z, labels)
    assert torch.equal(beside, torch.cat([z, torch.tensor([[0.0, 1.0], [1.0, 0.0]])], 1))
    layer = LabelPlane(torch.nn.Identity(), 2, 4)
    x = torch.randn(2, 3, 4, 4)
    seen = layer(x, labels)
    assert torch.equal(seen[:, :3], x)
    assert torch.equal(seen[:, 3], layer.planes.weight[labels].view(2, 4, 4))


def test_the_published_sizes():
    with torch.device("meta"):
        model = conditional_gan(network="fully_connected")
    generator, discriminator = model.generator, model.discriminator
    sizes = [network[0].out_features for network in (generator.first, generator.second, generator.joint[0])]
    assert sizes == [200, 1000, 1200] and generator.joint[0][0].in_features == 1200
    layers = discriminator.first[1][0], discriminator.second[0], discriminator.joint[0][0]
    assert [(layer.linear.out_features, layer.pieces) for layer in layers] == [(1200, 5), (250, 5), (960, 4)]
    assert (model.latent_dim, model.output, model.prior) == (100, "sigmoid", "uniform")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes: expected at least 1, got 0"),
        ({"latent_dim": 0, "network": "fully_connected"}, "latent_dim: expected at least 1, got 0"),
        ({"network": "recurrent"}, "network: expected 'convolutional' or 'fully_connected', got 'recurrent'"),
        ({"event_shape": (1, 8, 16)}, r"event_shape: expected \(channels, side, side\), got \(1, 8, 16\)"),
        ({"width": 0}, "width: expected at least 1, got 0"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        conditional_gan(**options)
