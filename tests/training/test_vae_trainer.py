from __future__ import annotations

import json
import math

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from deepgen_fast.config import ConfigError
from deepgen_fast.data import DataError
from deepgen_fast.objectives import ELBO, ImportanceWeightedBound
from deepgen_fast.training import VAETrainer
from deepgen_fast.training.state.seeds import derive_seed


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_tiny_set_is_learned(build_vae, images, quiet, precision):
    few = images[:8]
    trainer = VAETrainer(build_vae(), **quiet, epochs=600, learning_rate=1e-2, precision=precision)
    result = trainer.fit(few)
    assert result.history[0]["train_loss"] > 11.0  # 16 pixels at log 2 each
    # One epoch of eight examples is a noisy estimate, so the last fifty are averaged.
    final = [record["train_loss"] for record in result.history[-50:]]
    assert sum(final) / len(final) < 4.5
    assert ((trainer.model.reconstruct(few) - few).abs() < 0.5).float().mean() > 0.95


def test_the_record_of_an_epoch(build_vae, images, quiet):
    trainer = VAETrainer(build_vae(), ELBO(beta=2.0, warmup_steps=20), **quiet, epochs=2, schedule="cosine")
    result = trainer.fit(images[:40], images[40:])
    first, last = result.history
    assert (first["epoch"], first["step"], last["epoch"], last["step"]) == (1, 3, 2, 6)
    assert first["beta"] == pytest.approx(2.0 * 2 / 20)
    assert last["learning_rate"] == pytest.approx(0.5e-3 * (1 + math.cos(math.pi * 5 / 6)))
    for record in result.history:
        assert record["validation_loss"] == pytest.approx(record["validation_kl"] - record["validation_log_likelihood"])
    assert (result.reason, result.epochs, result.steps) == ("completed", 2, 6)
    assert result.run_directory is None


def test_the_training_loss_is_the_mean_over_examples(build_vae, images, quiet):
    """With weights that do not move, an epoch's mean is the loss of the whole set, however it was cut."""
    model = build_vae(scale="std")
    nn.init.constant_(model.encoder.scale.weight, 0.0)
    nn.init.constant_(model.encoder.scale.bias, -30.0)  # no noise to speak of
    exact = ELBO()(model, images)
    trainer = VAETrainer(model, **quiet, epochs=1, learning_rate=1e-12)
    record = trainer.fit(images).history[0]
    assert record["train_loss"] == pytest.approx(exact.value.item(), rel=1e-5)
    assert record["train_kl"] == pytest.approx(exact.kl.mean().item(), rel=1e-5)


def test_one_step_is_adam_on_the_objective(build_vae, images, quiet):
    model, reference = build_vae(), build_vae()
    x = images[:16]
    trainer = VAETrainer(model, **quiet, epochs=1, gradient_clip=0.5)
    trainer.fit(x)
    # The same step by hand; the loss is a mean over the batch, so its order is of no matter but to the noise.
    optimizer = torch.optim.Adam(reference.parameters(), lr=1e-3)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(derive_seed(0, "order")))
    generator = torch.Generator().manual_seed(derive_seed(0, "step"))
    ELBO()(reference, x[order], generator=generator).value.backward()
    norm = nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
    assert norm > 0.5
    optimizer.step()
    for (name, trained), expected in zip(model.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(trained, expected, rtol=1e-5, atol=1e-7, msg=name)


def test_the_seed_decides_a_run(build_vae, images, quiet):
    losses = []
    for seed in (3, 3, 4):
        model = build_vae()
        torch.manual_seed(len(losses))  # of no matter
        losses.append(VAETrainer(model, **quiet, epochs=1, seed=seed).fit(images).history[0]["train_loss"])
    assert losses[0] == losses[1] != losses[2]


def test_training_does_not_touch_the_global_generator(build_vae, images, quiet):
    trainer = VAETrainer(build_vae(), **quiet, epochs=1)
    state = torch.get_rng_state()
    trainer.fit(images)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_dataset_trains_as_a_tensor_does(build_vae, images, quiet):
    losses = [
        VAETrainer(build_vae(), **quiet, epochs=2).fit(data, data).history[-1]["validation_loss"]
        for data in (images, TensorDataset(images))
    ]
    assert losses[0] == losses[1]


def test_validation_and_samples_do_not_disturb_training(build_vae, images, quiet, tmp_path):
    plain, watched = build_vae(), build_vae()
    VAETrainer(plain, **quiet, epochs=2).fit(images)
    VAETrainer(watched, **quiet, epochs=2, sample_every=1, run_directory=tmp_path / "run").fit(images, images)
    for first, second in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(first, second)


def test_validation_uses_the_averaged_weights(build_vae, images, quiet):
    def run(**options):
        trainer = VAETrainer(build_vae(), **quiet, epochs=2, learning_rate=1e-2, **options)
        return trainer, trainer.fit(images, images).history[-1]

    (plain, raw), (averaged, smooth) = run(), run(ema_decay=0.999)
    assert raw["train_loss"] == smooth["train_loss"]
    assert raw["validation_loss"] != smooth["validation_loss"]
    for first, second in zip(plain.model.parameters(), averaged.model.parameters(), strict=True):
        assert torch.equal(first, second)


def test_early_stopping(build_vae, images, quiet):
    # An improvement that no epoch can make: the first validation is the best for ever.
    options = {"epochs": 50, "early_stopping": 3, "min_improvement": 1e9, "validate_every": 2}
    result = VAETrainer(build_vae(), **quiet, **options).fit(images, images)
    assert result.reason == "early_stopping"
    assert (result.best_epoch, result.epochs) == (2, 8)
    assert [record["epoch"] for record in result.history if "validation_loss" in record] == [2, 4, 6, 8]
    with pytest.raises(ConfigError, match=r"trainer\.early_stopping: needs validation data"):
        VAETrainer(build_vae(), **quiet, early_stopping=1).fit(images)


def test_a_run_directory(build_vae, images, quiet, tmp_path):
    settings = {
        **quiet,
        "tensorboard": True,
        "epochs": 4,
        "sample_every": 2,
        "log_every_steps": 1,
        "keep_checkpoints": 1,
    }
    result = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run").fit(images, images)
    directory = result.run_directory
    assert sorted(path.name for path in directory.iterdir()) == [
        ".lock", "checkpoints", "metrics.jsonl", "samples", "tensorboard", "trainer.toml",
    ]  # fmt: skip
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert lines == result.history
    assert sorted(path.name for path in (directory / "samples").iterdir()) == [
        f"{name}-{epoch:05d}.png" for name in ("reconstructions", "samples") for epoch in (2, 4)
    ]
    with Image.open(directory / "samples" / "samples-00004.png") as picture:
        assert picture.size == (8 * 6 + 2, 8 * 6 + 2)
    names = sorted(path.name for path in (directory / "checkpoints").iterdir())
    assert names == [f"best-{5 * result.best_epoch:08d}", "step-00000020"]
    with pytest.raises(FileExistsError, match="already holds a run; resume it, or choose another directory"):
        VAETrainer(build_vae(), **settings, run_directory=directory).fit(images)


def test_tensorboard_holds_the_metrics(build_vae, images, quiet, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = {**quiet, "tensorboard": True, "epochs": 2, "log_every_steps": 2}
    result = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run").fit(images, images)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    losses = events.Scalars("train/loss")
    assert [event.step for event in losses] == [5, 10]
    assert losses[-1].value == pytest.approx(result.history[-1]["train_loss"])
    assert [event.step for event in events.Scalars("step/loss")] == [2, 4, 6, 8, 10]
    assert {"validation/loss", "run/learning_rate", "run/beta"} <= set(events.Tags()["scalars"])
    assert set(events.Tags()["images"]) == {"samples", "reconstructions"}


def test_other_objectives_train(build_vae, images, quiet):
    for objective in (ELBO(num_samples=3, free_bits=0.1), ImportanceWeightedBound(4)):
        result = VAETrainer(build_vae(), objective, **quiet, epochs=20, learning_rate=1e-2).fit(images, images)
        assert result.history[-1]["validation_loss"] < result.history[0]["validation_loss"] - 0.5


def test_pixels_are_drawn_anew_at_every_step(build_vae, images, quiet):
    gray = 0.3 + 0.4 * images
    seen: list[torch.Tensor] = []

    class Watching(ELBO):
        def __call__(self, model, x, step=None, generator=None):
            if step is not None:
                seen.append(x)
            return super().__call__(model, x, step=step, generator=generator)

    VAETrainer(build_vae(), Watching(), **quiet, epochs=2, binarize="stochastic").fit(gray[:16])
    assert len(seen) == 2
    assert all(set(x.unique().tolist()) == {0.0, 1.0} for x in seen)
    assert not torch.equal(seen[0].sort(0).values, seen[1].sort(0).values)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.zeros(4, 16), r"train: expected examples of shape \[1, 4, 4\].*got \[16\]"),
        (torch.full((4, 1, 4, 4), torch.nan), "train: 64 values are NaN or infinite, the first in example 0"),
        (torch.full((4, 1, 4, 4), 2.0), r"train: a Bernoulli likelihood needs values in \[0, 1\], got 2 to 2"),
        (torch.zeros(4, 1, 4, 4, dtype=torch.int64), "train: expected floating point or uint8 pixels"),
        (TensorDataset(torch.zeros(4, 1, 4, 5)), r"train: expected examples of shape .* got \[1, 4, 5\]"),
        (torch.zeros(0, 1, 4, 4), "no examples"),
    ],
)
def test_wrong_data_is_refused_before_any_step(build_vae, quiet, data, message, tmp_path):
    trainer = VAETrainer(build_vae(), **quiet, run_directory=tmp_path / "run")
    with pytest.raises(DataError, match=message):
        trainer.fit(data)
    assert not (tmp_path / "run").exists()


def test_wrong_settings_are_named(build_vae, quiet):
    with pytest.raises(ConfigError, match="trainer: learningrate: no such field"):
        VAETrainer(build_vae(), learningrate=1.0)
    with pytest.raises(ValueError, match="device: 'warp' is not a torch device"):
        VAETrainer(build_vae(), device="warp")
