"""LAPGAN: parts of a pyramid, what each network sees, the chain, and levels by themselves."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.models import LAPGAN, lapgan
from deepgen_fast.models.laplacian_gan import combine
from deepgen_fast.models.laplacian_pyramid import down, up
from deepgen_fast.random import BatchNoise


def noise(seed: int = 0) -> BatchNoise:
    return BatchNoise(torch.Generator().manual_seed(seed))


def pictures(count: int = 4, shape: tuple[int, ...] = (1, 16, 16)) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


def build(level: str = "all", shape: tuple[int, ...] = (1, 16, 16), **options) -> LAPGAN:
    torch.manual_seed(0)
    model = lapgan(shape, **{"level": level, "width": 4, "latent_dim": 5, **options})
    with torch.no_grad():
        for parameter in model.generator.parameters():  # away from the small initial weights: bands that can be seen
            parameter.mul_(3.0)
    return model.eval()


def test_an_example_is_a_pyramid():
    x = pictures()
    (fine, fine_low), (middle, middle_low), coarse = build().from_data(x)
    images = [2 * x - 1, down(2 * x - 1), down(down(2 * x - 1))]
    torch.testing.assert_close(coarse, images[2])
    for detail, low, image, coarser in ((fine, fine_low, *images[:2]), (middle, middle_low, *images[1:])):
        torch.testing.assert_close(low, up(coarser))
        torch.testing.assert_close(detail, image - low)


@pytest.mark.parametrize("level", ["all", "0", "1", "2"])
def test_data_come_back_at_the_size_of_the_level(level):
    x, model = pictures(), build(level)
    expected = [x, down(x), down(down(x))]
    images = model.images_of(model.from_data(x))
    for image, present in zip(images, model.present, strict=True):
        torch.testing.assert_close(image, expected[present])
        assert tuple(image.shape[1:]) == model.shape_of(present)
    assert torch.equal(model.to_data(model.from_data(x)), images[0])


def test_what_is_generated_is_data():
    model = build()
    with torch.no_grad():
        model.generator["0"][-1][0].weight.mul_(100.0)
    x = model.sample(20, torch.Generator().manual_seed(0))
    assert x.min() == 0 and x.max() == 1


def test_a_discriminator_sees_detail_and_blurred_image_added():
    model = build()
    part = model.from_data(pictures())[1]
    logits = model.discriminate_at(1, part)
    assert torch.equal(logits, model.discriminator["1"](part[0] + part[1]))
    shift = 0.5 * torch.ones_like(part[0])
    torch.testing.assert_close(logits, model.discriminate_at(1, (part[0] + shift, part[1] - shift)))
    example = model.from_data(pictures())
    apart = [model.discriminate_at(level, part) for level, part in enumerate(example)]
    assert torch.equal(model.discriminate(example), torch.cat(apart))


def test_noise_is_one_more_plane():
    model = build("0", (3, 16, 16))
    assert model.generator["0"][0][0].in_channels == 4
    real = model.from_data(pictures(shape=(3, 16, 16)))
    z, low = model.draw_latent(4, noise(), real)
    assert z.shape == (4, 1, 16, 16) and z.min() >= -1 and z.max() <= 1
    assert torch.equal(low, real[0][1])
    ((detail, beside),) = model.generate((z, low))
    assert torch.equal(beside, low) and detail.shape == low.shape
    for other in (model.generate((-z, low)), model.generate((z, -low))):
        assert (other[0][0] - detail).abs().max() > 1e-3


def test_the_chain_refines_what_the_level_before_has_made():
    model = build()
    z = model.draw_latent(3, noise())
    assert [tuple(plane.shape) for plane in z] == [(3, 1, 16, 16), (3, 1, 8, 8), (3, 5)]
    networks = model.generator
    coarse = networks["2"](z[2])
    low = up(coarse)
    middle = low + networks["1"]((z[1], low))
    low = up(middle)
    fine = low + networks["0"]((z[0], low))
    for made, expected in zip(model.images_of(model.generate(z)), (fine, middle, coarse), strict=True):
        torch.testing.assert_close(made, (expected / 2 + 0.5).clamp(0, 1))
    assert torch.equal(model.sample(3, torch.Generator().manual_seed(0)), model.decode(z))


def test_beside_real_examples_no_level_waits_for_another():
    model = build()
    real = model.from_data(pictures())
    latent = model.draw_latent(4, noise(), real)
    assert torch.equal(latent[3], real[0][1]) and torch.equal(latent[4], real[1][1])
    before = model.generate(latent)
    with torch.no_grad():
        for parameter in model.generator["1"].parameters():
            parameter.zero_()
    after = model.generate(latent)
    assert torch.equal(before[0][0], after[0][0]) and torch.equal(before[2], after[2])
    assert not torch.equal(before[1][0], after[1][0])


def test_levels_trained_alone_make_one_model():
    parts = [build(level) for level in ("1", "0", "2")]
    whole, z = combine(parts), build().draw_latent(3, noise())
    assert whole.present == (0, 1, 2) and not whole.conditioned and not whole.training
    made = whole.generate(z)
    torch.testing.assert_close(made[2], parts[2].generate((z[2],))[0])
    low = up(made[2])
    torch.testing.assert_close(made[1][0], parts[0].generate((z[1], low))[0][0])
    names = [set(part.state_dict()) for part in parts]
    assert set.union(*names) == set(build().state_dict()) and not set.intersection(*names)
    assert combine(parts[:2]).conditioned
    with pytest.raises(ValueError, match="models: level 1 comes twice"):
        combine([parts[0], parts[0]])
    with pytest.raises(ValueError, match=r"models: expected one latent_dim, got 5 and 6"):
        combine([parts[0], build("2", latent_dim=6)])
    with pytest.raises(ValueError, match=r"expected levels from 0 to 2 that follow one another, got \[0, 2\]"):
        combine(parts[1:])


def test_a_fine_level_alone_is_conditioned_on_real_images():
    model = build("1")
    assert model.conditioned and not build("2").conditioned
    with pytest.raises(ValueError, match="without coarser levels, level 1 is conditioned on real images"):
        model.sample(3)
    made = model.decode(model.sample_latents_like(pictures(), noise()))
    assert made.shape == (4, 1, 8, 8)
    assert torch.equal(build().sample_latents_like(pictures(), noise())[0], build().draw_latent(4, noise())[0])


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (2, 16, 24)])
@pytest.mark.parametrize("levels", [2, 3])
def test_every_size(shape, levels):
    model = build(shape=shape, levels=levels, prior="normal").train()
    assert model.sample(2, torch.Generator().manual_seed(0)).shape == (2, *shape)
    assert model.discriminate(model.from_data(pictures(3, shape))).shape == (3 * levels,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lapgan((1, 30, 30)), "event_shape: a height of 30 pixels cannot be halved 2 times"),
        (lambda: lapgan((1, 32, 36), levels=4), "event_shape: a width of 36 pixels cannot be halved 3 times"),
        (lambda: lapgan((32, 32)), r"event_shape: expected an image \(C, H, W\), got \(32, 32\)"),
        (lambda: lapgan(level="3"), "level: expected 'all' or a number from 0 to 2, got '3'"),
        (lambda: lapgan(level="fine"), "level: expected 'all' or a number from 0 to 2, got 'fine'"),
        (lambda: lapgan(levels=1), "levels: expected at least 2, got 1"),
        (lambda: lapgan((1, 8, 8), levels=4), "levels: 4 leave less than 2 pixels of an image of 8 x 8"),
        (lambda: lapgan(width=0), "width: expected at least 1, got 0"),
        (lambda: lapgan(latent_dim=0), "latent_dim: expected at least 1, got 0"),
        (lambda: lapgan(prior="cauchy"), "prior: expected one of normal, uniform, got 'cauchy'"),
        (lambda: LAPGAN({}, {}, event_shape=(1, 8, 8), levels=2, latent_dim=1), r"generators: expected .*got \[\]"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
