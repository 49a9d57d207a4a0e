"""InfoGAN's codes: how they are drawn, that the generator is told them, and that Q is read beside D."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.models import dcgan, infogan
from deepgen_fast.random import BatchNoise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return infogan((1, 16, 16), num_classes=3, num_continuous=2, width=4, latent_dim=5)


def test_codes_are_drawn_uniformly_in_training_and_in_turn_for_use(model):
    z, code, continuous = model.draw_latent(3000, BatchNoise(seeded()), real=torch.empty(0))
    assert z.shape == (3000, 5) and code.dtype == torch.int64 and continuous.shape == (3000, 2)
    # Three standard deviations of a count are 77.
    assert (code.bincount(minlength=3) - 1000).abs().max() <= 77
    assert continuous.min() >= -1 and continuous.max() <= 1
    assert continuous.std(0).tolist() == pytest.approx([3**-0.5] * 2, rel=0.05)
    assert model.draw_latent(5)[1].tolist() == [0, 1, 2, 0, 1]


def test_codes_of_shared_batches_are_those_of_the_whole(model):
    whole = model.draw_latent(7, BatchNoise(seeded()), real=0)
    parts = [model.draw_latent(rows.stop - rows.start, BatchNoise(seeded(), (7, rows)), real=0)
             for rows in (slice(0, 3), slice(3, 7))]  # fmt: skip
    for index, tensor in enumerate(whole):
        assert torch.equal(torch.cat([part[index] for part in parts]), tensor)


def test_the_generator_is_told_all_codes(model):
    model.eval()
    z, code, continuous = model.draw_latent(4, BatchNoise(seeded()))
    made = model.decode((z, code, continuous))
    assert made.shape == (4, 1, 16, 16)
    for other in (
        (z, (code + 1) % 3, continuous),
        (z, code, continuous * torch.tensor([0.0, 1.0])),
        (-z, code, continuous),
    ):
        assert (model.decode(other) - made).flatten(1).abs().amax(1).min() > 1e-5
    assert torch.equal(model.sample(4, seeded(), labels=[0, 1, 2, 0]), made)
    assert torch.equal(model.sample(4, seeded(), labels=2), model.decode((z, torch.full((4,), 2), continuous)))


def test_one_pass_gives_what_two_would(model):
    x = torch.rand(6, 1, 16, 16, generator=seeded())
    logits, posterior = model.logits_and_codes(x)
    assert torch.equal(logits, model.discriminate(x))
    assert torch.equal(posterior.logits, model.recognize((x, None, None)).logits)
    assert [tuple(part.shape) for part in posterior] == [(6, 3), (6, 2), (6, 2)]


def test_the_networks_are_those_of_dcgan_with_the_last_layer_as_a_head(model):
    plain = dcgan((1, 16, 16), width=4, latent_dim=5 + 3 + 2)
    assert [parameter.shape for parameter in model.generator.parameters()] == [
        parameter.shape for parameter in plain.generator.parameters()
    ]
    shared = [*model.discriminator.trunk.parameters(), *model.discriminator.logit.parameters()]
    assert [parameter.shape for parameter in shared] == [
        parameter.shape for parameter in plain.discriminator.parameters()
    ]
    moved = {id(parameter) for parameter in model.discriminator_parameters()}
    assert all(id(parameter) in moved for parameter in model.discriminator.codes.parameters())


def test_without_continuous_codes():
    model = infogan((1, 8, 8), num_classes=4, num_continuous=0, width=2, latent_dim=3)
    assert model.sample(2).shape == (2, 1, 8, 8)
    assert model.recognize(torch.zeros(2, 1, 8, 8)).mean.shape == (2, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes: expected at least 1, got 0"),
        ({"num_continuous": -1}, "num_continuous: expected at least 0, got -1"),
        ({"latent_dim": 0}, "latent_dim: expected at least 1, got 0"),
        ({"event_shape": (1, 9, 9)}, "event_shape: expected a side that is 4, 5, 6 or 7 times a power of two"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        infogan(**options)


def test_a_model_without_classes_says_so():
    with pytest.raises(ValueError, match="labels: a GAN has no classes to choose from"):
        dcgan((1, 8, 8), width=2).sample(2, labels=1)
