from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from deepgen_fast.models import GAN, dcgan, fully_connected_gan
from deepgen_fast.random import BatchNoise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain(network: nn.Sequential) -> nn.Sequential:
    """The layers of the blocks, one by one."""
    return nn.Sequential(*(layer for block in copy.deepcopy(network) for layer in nn.Sequential(*block)))


def test_figure_13_8():
    with torch.device("meta"):
        model = dcgan((3, 64, 64), width=128)
        shapes, x = [], torch.empty(2, 100).unflatten(1, (-1, 1, 1))
        for block in model.generator:
            for layer in block:
                x = layer(x)
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    assert [block[0].out_channels for block in model.discriminator] == [128, 256, 512, 1024, 1]
    kinds = [[type(layer).__name__ for layer in block] for block in model.discriminator]
    assert kinds == [["Conv2d", "LeakyReLU"], *[["Conv2d", "BatchNorm2d", "LeakyReLU"]] * 3, ["Conv2d"]]
    assert isinstance(model.generator[-1][-1], nn.Tanh)
    assert all(layer.negative_slope == 0.2 for layer in model.discriminator.modules() if type(layer) is nn.LeakyReLU)


@pytest.mark.parametrize(("side", "layers"), [(16, 3), (28, 3), (32, 4), (48, 4), (64, 5), (96, 5), (128, 6)])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_size(side, layers, channels):
    model = dcgan((channels, side, side), width=2, latent_dim=5)
    assert len(model.generator) == len(model.discriminator) == layers
    x = model.sample(3, seeded())
    assert x.shape == (3, channels, side, side)
    assert x.min() >= 0 and x.max() <= 1
    assert model.discriminate(model.from_data(x)).shape == (3,)


def test_initial_weights():
    model = dcgan((3, 32, 32), width=16)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 5000:
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(layer.weight.mean().item()) < 1e-3
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1.0, abs=0.02)
            assert 0 < layer.weight.std() < 0.04
            assert not layer.bias.any()


@pytest.mark.parametrize("training", [True, False])
def test_networks_are_the_plain_layers(training):
    torch.manual_seed(0)
    model = dcgan((3, 32, 32), width=8).train(training)
    z = model.draw_latent(6, BatchNoise(seeded()))
    theirs, ours = plain(model.generator), model.generate(z)
    torch.testing.assert_close(ours, theirs(z.unflatten(1, (-1, 1, 1))), rtol=1e-4, atol=1e-5)
    judge = plain(model.discriminator)
    torch.testing.assert_close(model.discriminate(ours), judge(ours).flatten(), rtol=1e-4, atol=1e-4)


def test_priors():
    normal, uniform = (dcgan((1, 16, 16), width=1, prior=prior) for prior in ("normal", "uniform"))
    z = uniform.draw_latent(200, BatchNoise(seeded()))
    assert z.shape == (200, 100) and z.min() >= -1 and z.max() <= 1
    assert z.std().item() == pytest.approx(3**-0.5, rel=0.02)
    z = normal.draw_latent(200, BatchNoise(seeded()))
    assert (z.mean().abs().item(), z.std().item()) == (pytest.approx(0, abs=0.02), pytest.approx(1, rel=0.02))
    assert torch.equal(z, normal.draw_latent(200, BatchNoise(seeded())))


def test_data_and_networks_see_the_same_pixels():
    x = torch.rand(2, 1, 16, 16, generator=seeded())
    for output in ("tanh", "sigmoid", "linear"):
        model = GAN(nn.Identity(), nn.Identity(), event_shape=(1, 16, 16), latent_dim=1, output=output)
        seen = model.from_data(x)
        assert seen.min() < -0.9 if output == "tanh" else torch.equal(seen, x)
        torch.testing.assert_close(model.to_data(seen), x)


def test_the_published_mnist_model():
    model = fully_connected_gan()
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters() if parameter.dim() > 1}
    assert list(shapes.values()) == [(1200, 100), (1200, 1200), (784, 1200), (1200, 784), (1200, 240), (1, 240)]
    assert [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)] == [pytest.approx(0.2), 0.5, 0.5]
    for network, limit in ((model.generator, 0.05), (model.discriminator, 0.005)):
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                assert 0.9 * limit < layer.weight.abs().max() <= limit
                assert not layer.bias.any()
    x = model.eval().sample(3, seeded())
    assert x.shape == (3, 1, 28, 28) and x.min() >= 0 and x.max() <= 1
    assert model.discriminate(x).shape == (3,)


def test_maxout_is_the_largest_piece():
    torch.manual_seed(0)
    layer = fully_connected_gan((6,), units=4, pieces=3, dropout=0.0).discriminator[1]
    x = torch.randn(5, 6)
    expected = torch.stack(
        [torch.stack([layer.linear(x)[:, 3 * unit + i] for i in range(3)]).amax(0) for unit in range(4)], 1
    )
    assert torch.equal(layer(x), expected)


def test_points_instead_of_pixels():
    torch.manual_seed(0)
    model = fully_connected_gan(
        (2,),
        hidden_dim=16,
        latent_dim=4,
        prior="normal",
        output="linear",
        discriminator="leaky_relu",
        units=8,
        dropout=0,
    )
    points = 10 * torch.randn(7, 2)
    assert torch.equal(model.from_data(points), points)
    assert model.sample(5).shape == (5, 2)
    assert not any(isinstance(layer, nn.Dropout) for layer in model.modules())


def test_sampling_leaves_no_graph_and_the_players_share_nothing():
    model = dcgan((1, 16, 16), width=2)
    assert not model.sample(2).requires_grad
    first, second = (
        {id(p) for p in player} for player in (model.generator_parameters(), model.discriminator_parameters())
    )
    assert not first & second
    assert len(first | second) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: dcgan((3, 64, 32)), r"event_shape: expected \(channels, side, side\), got \(3, 64, 32\)"),
        (lambda: dcgan((3, 36, 36)), "event_shape: expected a side that is 4, 5, 6 or 7 times a power of two.*got 36"),
        (lambda: dcgan((3, 7, 7)), "event_shape: expected a side .*got 7"),
        (lambda: dcgan(width=0), "width: expected at least 1, got 0"),
        (lambda: dcgan((1, 16, 16), width=1, latent_dim=0), "latent_dim: expected at least 1, got 0"),
        (lambda: dcgan((1, 16, 16), width=1, prior="cauchy"), "prior: expected one of normal, uniform, got 'cauchy'"),
        (
            lambda: dcgan(discriminator_norm="layer"),
            "discriminator_norm: expected 'batch', 'virtual_batch' or 'none', got 'layer'",
        ),
        (lambda: fully_connected_gan(output="relu"), "output: expected one of tanh, sigmoid, linear, got 'relu'"),
        (lambda: fully_connected_gan(pieces=0), "pieces: expected at least 1, got 0"),
        (lambda: fully_connected_gan(dropout=1.0), r"dropout: expected a number in \[0, 1\), got 1.0"),
        (lambda: fully_connected_gan(discriminator="deep"), "discriminator: expected 'maxout' or 'leaky_relu'"),
        (lambda: dcgan((1, 16, 16), width=1).sample(-1), "n: expected 0 or more, got -1"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
