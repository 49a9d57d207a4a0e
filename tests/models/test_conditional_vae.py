"""The conditional VAE: the label reaches both networks, beside every sample of z."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.models import conditional_vae
from deepgen_fast.objectives import ELBO


@pytest.fixture
def model():
    torch.manual_seed(0)
    return conditional_vae((1, 4, 4), num_classes=3, hidden_dim=12, latent_dim=2)


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


def test_the_networks_are_those_of_the_two_layer_vae_on_joined_inputs(model, pair):
    x, labels = pair
    y = torch.nn.functional.one_hot(labels, 3).float()
    encoder, decoder = model.encoder.network, model.decoder.network
    mean, scale = encoder(torch.cat([x.flatten(1), y], 1))
    posterior = model.encode(pair)
    assert torch.equal(posterior.mean, mean) and torch.equal(posterior.scale, scale)
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.decode((z, labels)), decoder(torch.cat([z, y], 1)))


def test_every_sample_of_an_example_is_decoded_with_its_label(model, pair):
    z = torch.randn(5, 6, 2, generator=torch.Generator().manual_seed(1))
    together = model.decode((z, pair[1]))
    assert together.shape == (5, 6, 1, 4, 4)
    torch.testing.assert_close(together, torch.stack([model.decode((part, pair[1])) for part in z]))
    log_likelihood = model.log_likelihood(z, pair)
    expected = model.likelihood.log_likelihood(together[2], pair[0])
    torch.testing.assert_close(log_likelihood[2], expected)


def test_the_loss_depends_on_the_label_and_trains_every_weight(model, pair):
    losses = [
        ELBO()(model, (pair[0], labels), generator=torch.Generator().manual_seed(0))
        for labels in (pair[1], (pair[1] + 1) % 3)
    ]
    assert abs(losses[0].value.item() - losses[1].value.item()) > 0.05
    assert not torch.equal(losses[0].kl, losses[1].kl)
    losses[0].value.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_classes_of_samples(model):
    def sample(count, labels=None):
        return model.sample(count, torch.Generator().manual_seed(0), labels)

    assert torch.equal(sample(7), sample(7, [0, 1, 2, 0, 1, 2, 0]))
    assert torch.equal(sample(7, 2), sample(7, torch.full((7,), 2)))
    assert not torch.equal(sample(7, 2), sample(7, 1))
    assert model.num_conditions == 3 and sample(0).shape == (0, 1, 4, 4)
    for labels, message in ((3, "labels: expected 0 to 2, got 3 to 3"), ([0, 1], "labels: expected 7, or one for all")):
        with pytest.raises(ValueError, match=message):
            sample(7, labels)


def test_reconstructions_take_the_label(model, pair):
    given, other = model.reconstruct(pair), model.reconstruct((pair[0], (pair[1] + 1) % 3))
    assert given.shape == (6, 1, 4, 4) and not torch.equal(given, other)


def test_wrong_arguments_are_named(model, pair):
    with pytest.raises(TypeError, match="x: expected a pair of examples and labels, got Tensor"):
        model(pair[0])
    with pytest.raises(ValueError, match=r"labels: expected one an example, \[6\], got \[5\]"):
        model((pair[0], pair[1][:5]))
    with pytest.raises(ValueError, match=r"x: expected shape \[batch, 1, 4, 4\]"):
        model((pair[0][:, :, :3], pair[1]))
    with pytest.raises(ValueError, match=r"z: expected shape \[\(samples,\) batch, 2\], got \[6, 3\]"):
        model.decode((torch.zeros(6, 3), pair[1]))
    with pytest.raises(ValueError, match="num_classes: expected at least 1, got 0"):
        conditional_vae((4,), num_classes=0)
