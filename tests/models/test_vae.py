from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.models import Posterior, agreed_event_shape, convolutional_vae, two_layer_vae, variational_autoencoder

CONFIG = {
    "architecture": "two_layer",
    "hidden_dim": 12,
    "channels": (4, 6),
    "latent_dim": 3,
    "likelihood": "bernoulli",
    "variance": "unit",
    "scale": "logvar",
    "activation": "relu",
}


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", ["logvar", "std", "pre_softplus", "softplus_sigmoid"])
@pytest.mark.parametrize(
    ("likelihood", "variance"),
    [("bernoulli", "unit"), ("gaussian", "unit"), ("gaussian", "shared"), ("gaussian", "per_pixel")],
)
@pytest.mark.parametrize("architecture", ["two_layer", "convolutional"])
def test_every_combination_has_the_shapes_it_says(architecture, likelihood, variance, scale):
    values = {**CONFIG, "architecture": architecture, "likelihood": likelihood, "variance": variance, "scale": scale}
    model = variational_autoencoder((1, 9, 12), **values)
    x = images(5, 1, 9, 12)
    channels = 2 if variance == "per_pixel" else 1
    for samples, lead in ((None, (5,)), (2, (2, 5))):
        output = model(x, num_samples=samples, generator=torch.Generator().manual_seed(0))
        assert output.z.shape == (*lead, 3)
        assert output.kl.shape == (5,)
        assert output.decoder_output.shape == (*lead, channels, 9, 12)
    assert bool((output.posterior.std() > 0).all())
    torch.testing.assert_close(output.posterior.log_variance(), 2 * output.posterior.std().log())
    assert model.sample(7).shape == (7, 1, 9, 12)
    assert model.reconstruct(x).shape == x.shape


def test_two_layer_vae_is_the_chapters_equations():
    model = two_layer_vae((6,), hidden_dim=4, latent_dim=2, activation="sigmoid", scale="pre_softplus")
    state = model.state_dict()
    assert list(state) == [
        f"{name}.{kind}"
        for name in ("encoder.hidden", "encoder.mean", "encoder.scale", "decoder.hidden", "decoder.output")
        for kind in ("weight", "bias")
    ]
    x = images(3, 6)
    h = torch.sigmoid(x @ state["encoder.hidden.weight"].T + state["encoder.hidden.bias"])
    posterior = model.encode(x)
    torch.testing.assert_close(posterior.mean, h @ state["encoder.mean.weight"].T + state["encoder.mean.bias"])
    a = h @ state["encoder.scale.weight"].T + state["encoder.scale.bias"]
    torch.testing.assert_close(posterior.std(), torch.log1p(torch.exp(a)))
    assert posterior.kwargs().keys() == {"pre_softplus"}


def test_printed_form_bounds_sigma():
    model = two_layer_vae((6,), hidden_dim=4, latent_dim=2, scale="softplus_sigmoid")
    std = model.encode(1e4 * torch.randn(500, 6, generator=torch.Generator().manual_seed(0))).std()
    assert std.min().item() >= math.log(2.0) - 1e-6
    assert std.max().item() <= math.log1p(math.e) + 1e-6
    assert std.max() - std.min() > 0.3


def test_log_variance_of_softplus_is_finite_where_softplus_underflows():
    scale = torch.tensor([[-200.0, -30.0, 0.0, 50.0]], requires_grad=True)
    log_variance = Posterior(torch.zeros(1, 4), scale, "pre_softplus").log_variance()
    expected = [-400.0, -60.0, 2 * math.log(math.log(2.0)), 2 * math.log(50.0)]
    torch.testing.assert_close(log_variance, torch.tensor([expected]))
    log_variance.sum().backward()
    assert bool(torch.isfinite(scale.grad).all())


def test_z_is_mean_plus_sigma_times_the_given_noise():
    model = two_layer_vae((6,), hidden_dim=4, latent_dim=2)
    noise = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0))
    output = model(images(5, 6), num_samples=3, noise=noise)
    expected = output.posterior.mean + output.posterior.std() * noise
    torch.testing.assert_close(output.z, expected)


def test_decoding_samples_together_equals_decoding_each():
    model = convolutional_vae((1, 8, 8), channels=(3, 4), latent_dim=2)
    z = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.decode(z), torch.stack([model.decode(each) for each in z]))


def test_a_generator_decides_samples():
    model = two_layer_vae((6,), hidden_dim=4, latent_dim=2)
    first, again, other = (model.sample(4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_wrong_inputs_are_named():
    model = two_layer_vae((1, 4, 4), hidden_dim=4, latent_dim=2)
    with pytest.raises(ValueError, match=r"x: expected shape \[batch, 1, 4, 4\], got \[3, 16\]"):
        model(torch.zeros(3, 16))
    with pytest.raises(TypeError, match=r"x: expected a floating point tensor, got torch\.uint8"):
        model(torch.zeros(3, 1, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"z: expected shape \[\(samples,\) batch, 2\], got \[3, 5\]"):
        model.decode(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="n: expected 0 or more, got -1"):
        model.sample(-1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: two_layer_vae((4,), latent_dim=0), "latent_dim: expected at least 1, got 0"),
        (lambda: two_layer_vae((4,), hidden_dim=0), "hidden_dim: expected at least 1, got 0"),
        (lambda: two_layer_vae((4,), scale="variance"), "scale: expected one of logvar, std"),
        (lambda: two_layer_vae((4,), activation="gelu2"), "activation: expected one of relu"),
        (lambda: convolutional_vae((784,)), r"event_shape: expected \(channels, height, width\), got \(784,\)"),
        (lambda: convolutional_vae((1, 3, 8), channels=(2, 2)), "2 halvings need height and width of at least 4"),
        (lambda: convolutional_vae((1, 8, 8), channels=()), "channels: expected one or more positive integers"),
    ],
)
def test_wrong_sizes_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_one_event_shape_is_needed():
    with pytest.raises(ValueError, match="event_shape: neither"):
        agreed_event_shape(None, None)
    with pytest.raises(ValueError, match=r"event_shape: the model's config says \(4,\), the data has \(5,\)"):
        agreed_event_shape((4,), (5,))
    assert agreed_event_shape((4,), None) == agreed_event_shape(None, (4,)) == (4,)


def test_the_architecture_is_named():
    with pytest.raises(ValueError, match="architecture: expected 'two_layer' or 'convolutional', got 'deep'"):
        variational_autoencoder((4,), architecture="deep")
