"""CatGAN's discriminator: classes, how sure it is of them, and its noise."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.models import catgan
from deepgen_fast.objectives import certainty_logits


def test_classes_and_certainties():
    model = catgan((1, 8, 8), num_classes=5, width=2, latent_dim=3).eval()
    x = model.sample(6)
    logits = model.classify(model.from_data(x))
    assert logits.shape == (6, 5)
    assert torch.equal(model.discriminate(model.from_data((x, torch.zeros(6)))), certainty_logits(logits))


def test_predictions_have_the_statistics_of_the_batch_and_leave_the_running_ones():
    torch.manual_seed(0)
    model = catgan((1, 16, 16), num_classes=4, width=2, latent_dim=3, noise=0.0)
    x = torch.rand(20, 1, 16, 16)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    predicted = model.eval().predict(x)
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert torch.equal(predicted, model.train().classify(model.from_data(x)).argmax(1))


def test_noise_is_of_training_only_and_at_each_layer():
    torch.manual_seed(0)
    model = catgan((1, 16, 16), width=2, latent_dim=3, noise=0.5)
    quiet = catgan((1, 16, 16), width=2, latent_dim=3, noise=0.0)
    x = torch.rand(4, 1, 16, 16)
    assert not torch.equal(model.classify(x), model.classify(x))
    # The same layers, noise aside.
    state = [*model.discriminator.parameters(), *model.discriminator.buffers()]
    for ours, theirs in zip([*quiet.discriminator.parameters(), *quiet.discriminator.buffers()], state, strict=True):
        ours.data.copy_(theirs.data)
    assert torch.equal(model.eval().classify(x), quiet.eval().classify(x))
    layers = [layer for layer in model.discriminator if type(layer).__name__ == "GaussianNoise"]
    assert len(layers) == len(model.discriminator) / 2 == 3
    assert (layers[0].train()(torch.zeros(10_000)).std().item()) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "num_classes: expected at least 2, got 1"),
        ({"noise": -0.1}, "noise: expected a finite number of at least 0, got -0.1"),
        ({"width": 0}, "width: expected at least 1, got 0"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        catgan(**options)
