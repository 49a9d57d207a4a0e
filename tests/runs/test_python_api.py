"""A run from Python: trained, opened, and all that the commands do, in one line each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deepgen_fast import runs
from deepgen_fast.systems import RunConfig

QUIET = {"trainer.epochs": 2, "trainer.progress": "none", "trainer.tensorboard": False, "trainer.batch_size": 16}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    images = (torch.rand(120, 1, 8, 8, generator=generator) < 0.3 + 0.2 * labels.view(-1, 1, 1, 1)).float()
    path = tmp_path_factory.mktemp("data") / "classes.npz"
    np.savez(path, x=images.numpy(), y=labels.numpy())
    return str(path)


def trained(system: str, data: str, folder: Path, **settings: object) -> runs.Run:
    config = RunConfig.for_system(system)().with_overrides({**QUIET, "data.name": data, **settings})
    assert runs.train(config, folder).epochs == 2
    return runs.open(folder)


@pytest.fixture(scope="module")
def vae(data, tmp_path_factory) -> runs.Run:
    settings = {"model.latent_dim": 2, "model.hidden_dim": 16}
    return trained("vae", data, tmp_path_factory.mktemp("runs") / "vae", **settings)


@pytest.fixture(scope="module")
def gan(data, tmp_path_factory) -> runs.Run:
    settings = {"model.units": 16, "model.latent_dim": 4}
    return trained("gan", data, tmp_path_factory.mktemp("runs") / "gan", **settings)


@pytest.fixture(scope="module")
def cvae(data, tmp_path_factory) -> runs.Run:
    settings = {"model.num_classes": 3, "model.latent_dim": 2}
    return trained("cvae", data, tmp_path_factory.mktemp("runs") / "cvae", **settings)


def test_samples(vae, gan, cvae) -> None:
    for run in (vae, gan, cvae):
        first, again, other = run.sample(5), run.sample(5), run.sample(5, seed=1)
        assert first.shape == (5, 1, 8, 8) and not first.requires_grad
        assert torch.equal(first, again) and not torch.equal(first, other)
    assert set(vae.sample(9, draw=True).unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(cvae.sample(4, label=0), cvae.sample(4, label=2))


def test_reconstructions_and_latents(vae) -> None:
    examples, made = vae.reconstruct(6)
    assert examples.shape == made.shape == (6, 1, 8, 8)
    z = vae.latents("validation")
    assert z.shape == (len(vae.data.validation), 2)


def test_interpolations(vae, gan) -> None:
    for run in (vae, gan):
        assert run.interpolate(3, 5).shape == (3, 5, 1, 8, 8)
    between = vae.interpolate(2, 4, between="examples")
    ends, _ = vae.reconstruct(4)
    assert between.shape == (2, 4, 1, 8, 8) and ends.shape[0] == 4
    torch.testing.assert_close(between[:, 0], vae.model.reconstruct(ends[:2]))


def test_evaluations_are_dataclasses(vae, gan, cvae) -> None:
    found = vae.evaluate(examples=4, samples=10)
    assert isinstance(found, runs.DensityEvaluation)
    assert found.elbo == pytest.approx(found.log_likelihood - found.kl) and found.log_p_examples == 4
    assert found.accuracy is None and "accuracy" not in found.as_dict()
    classified = cvae.evaluate(examples=0, class_samples=3)
    assert 0 <= classified.accuracy <= 1 and classified.conditional and classified.log_p is None
    judged = gan.evaluate(quality=False)
    assert isinstance(judged, runs.GANEvaluation)
    assert judged.discriminator["discriminator_loss"] > 0 and judged.quality is None
    assert judged.as_dict()["discriminator_loss"] == judged.discriminator["discriminator_loss"]


def test_pictures_are_written_where_one_says(vae, gan, tmp_path) -> None:
    assert vae.draw_samples() == vae.directory / "figures" / "samples.png"
    for number, path in enumerate(
        (
            vae.draw_samples(tmp_path / "0.png", count=4),
            vae.draw_reconstructions(tmp_path / "1.png", count=4),
            vae.draw_interpolation(tmp_path / "2.png", rows=2, steps=3),
            vae.draw_latent_plane(tmp_path / "3.png", dims=(0, 1)),
            vae.draw_manifold(tmp_path / "4.png", side=3),
            gan.draw_samples(tmp_path / "5.png", count=4),
        )
    ):
        assert path == tmp_path / f"{number}.png" and path.stat().st_size > 100


def test_what_a_run_cannot_do(vae, gan, cvae, tmp_path) -> None:
    for call, message in (
        (lambda: gan.reconstruct(), "a gan has no encoder"),
        (lambda: gan.latents(), "a gan has no encoder"),
        (lambda: gan.interpolate(between="examples"), "a gan has no encoder"),
        (lambda: gan.sample(2, draw=True), r"^draw: a gan has no p\(x\|z\)"),
        (lambda: vae.sample(2, label=1), "^label: a vae has no classes"),
        (lambda: cvae.sample(2, label=3), "^label: expected 0 to 2, got 3"),
        (lambda: cvae.sample(2, label=-1), "^label: expected 0 to 2, got -1"),
        (lambda: vae.interpolate(between="worlds"), "^between: expected samples or examples"),
        (lambda: vae.interpolate(rows=1000, between="examples"), "^rows: 1000 paths have 2000 ends"),
        (lambda: vae.latents("holdout"), "^split: expected one of train, validation, test"),
        (lambda: vae.evaluate(quality=True), "^quality: of the samples of a GAN"),
        (lambda: vae.evaluate(class_samples=3), r"^classify: a vae has no density p\(x\|y\)"),
        (lambda: runs.open(tmp_path), "no config.toml"),
        (lambda: runs.open(vae.directory, weights="mean"), "^weights: expected 'auto', 'raw' or 'ema'"),
    ):
        with pytest.raises(runs.RunError, match=message):
            call()
