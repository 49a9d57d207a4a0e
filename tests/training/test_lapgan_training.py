"""A LAPGAN trains by the trainer of every GAN: one level or all, resumed to the bit, and it learns detail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from deepgen_fast import runs
from deepgen_fast.models import lapgan
from deepgen_fast.models.laplacian_gan import combine
from deepgen_fast.models.laplacian_pyramid import down, up
from deepgen_fast.objectives import PyramidObjective
from deepgen_fast.random import BatchNoise
from deepgen_fast.runs import train
from deepgen_fast.systems import RunConfig, systems
from deepgen_fast.training import GANTrainer


def build(level: str = "all", **options):
    torch.manual_seed(0)
    return lapgan((1, 16, 16), **{"levels": 2, "level": level, "width": 4, "latent_dim": 6, **options})


@pytest.fixture
def crosses() -> torch.Tensor:
    """64 pictures of 16 x 16: sharp crosses, each at another place. Blurred, they lose half their brightness."""
    x = torch.zeros(64, 1, 16, 16)
    for index in range(64):
        row, column = 3 + index % 8, 3 + index // 8
        x[index, 0, row, column - 2 : column + 3] = 1.0
        x[index, 0, row - 2 : row + 3, column] = 1.0
    return x


@pytest.mark.parametrize(
    ("level", "precision"), [("all", "float32"), ("all", "bf16"), ("0", "float32"), ("1", "float32")]
)
def test_a_run_goes_on_as_if_it_had_not_stopped(level, precision, pictures, quiet, tmp_path, same_run):
    def trainer(name: str, epochs: int) -> GANTrainer:
        settings = {**quiet, "epochs": epochs, "ema_decay": 0.9, "precision": precision, "discriminator_steps": 2}
        objective = PyramidObjective(r1=1.0, penalty_every=2)
        return GANTrainer(build(level), objective, **settings, run_directory=tmp_path / name)

    whole = trainer("whole", 3)
    history = whole.fit(pictures, pictures).history
    trainer("parts", 1).fit(pictures, pictures)
    rest = trainer("parts", 3)
    rest.fit(pictures, pictures, resume_from="last")
    same_run(whole, rest)
    present = [0, 1] if level == "all" else [int(level)]
    for player in ("discriminator", "generator"):
        parts = [history[-1][f"{player}_level_{number}"] for number in present]
        assert sum(parts) == pytest.approx(history[-1][f"{player}_loss"], rel=1e-3)
    assert 0 < history[-1]["validation_discriminator_real_accuracy"] <= 1
    assert history[-1]["discriminator_r1"] > 0


@pytest.mark.parametrize(("level", "side"), [("all", 16), ("0", 16), ("1", 8)])
def test_pictures_of_a_run_are_of_the_levels_size(level, side, pictures, quiet, tmp_path):
    settings = {**quiet, "epochs": 1, "sample_every": 1}
    record = GANTrainer(build(level), PyramidObjective(), **settings, run_directory=tmp_path).fit(pictures).history[-1]
    with Image.open(tmp_path / "samples" / "samples-00001.png") as picture:
        assert picture.size[0] == 8 * (side + 2) + 2
    assert record["spread"] > 0


def test_a_level_alone_learns_the_detail_that_its_input_lacks(crosses, quiet):
    """Half of the crosses are kept back: blurred, they lose all detail; the generator puts it back, in place."""
    model = build("0", width=8)
    settings = {**quiet, "epochs": 100, "learning_rate": 4e-3, "ema_decay": 0.9, "validate_every": 100}
    trainer = GANTrainer(model, PyramidObjective(r1=0.1), **settings)
    trainer.fit(crosses[::2])
    held_out = crosses[1::2]
    with trainer.evaluated_model() as trained:
        made = trained.decode(trained.sample_latents_like(held_out, BatchNoise(torch.Generator().manual_seed(1))))
    blurred = up(down(held_out)).clamp(0, 1)

    def detail(images):
        return (images - up(down(images))).square().sum((1, 2, 3)).mean()

    assert detail(blurred) < 0.05 * detail(held_out) < 0.25 * detail(made)
    added, missing = (made - blurred).flatten(1), (held_out - blurred).flatten(1)
    assert torch.cosine_similarity(added, missing).mean() > 0.15
    bright = held_out == 1
    assert blurred[bright].mean() < 0.35 and made[bright].mean() > 0.5


def test_levels_of_different_runs_are_sampled_as_one(crosses, tmp_path):
    np.save(tmp_path / "crosses.npy", crosses.numpy())
    quiet = {"trainer.progress": "none", "trainer.tensorboard": False, "trainer.device": "cpu", "trainer.epochs": 2}
    model = {"model.levels": 2, "model.width": 4, "model.latent_dim": 6}
    data = {"data.name": str(tmp_path / "crosses.npy"), "data.image_shape": (1, 16, 16), "trainer.batch_size": 16}
    config = RunConfig.for_system("lapgan")().with_overrides({**quiet, **model, **data})
    for level in ("0", "1"):
        train(config.with_overrides({"model.level": level}), tmp_path / level)
    loaded = [runs.open(tmp_path / level) for level in ("0", "1")]
    assert [run.model.present for run in loaded] == [(0,), (1,)]
    whole = combine([run.model for run in loaded])
    z = whole.draw_latent(3, BatchNoise(torch.Generator().manual_seed(0)))
    coarse = loaded[1].model.decode((z[1],))
    torch.testing.assert_close(whole.images_of(whole.generate(z))[1], coarse)
    assert whole.sample(3).shape == (3, 1, 16, 16)


def test_the_registry_says_what_can_be_set():
    fields = systems()["lapgan"].objective.model_fields
    assert (
        fields["r1"].description
        == "weight gamma of the R1 penalty: gamma/2 times the squared gradient norm at real examples"
    )
    assert systems()["lapgan"].model.model_fields["level"].default == "all"
