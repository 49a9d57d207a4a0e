from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from deepgen_fast import runs
from deepgen_fast.config import ConfigError
from deepgen_fast.data import DataError, load_dataset
from deepgen_fast.runs import RunError, load_run_data, resume, stored, train
from deepgen_fast.runs import data as run_data
from deepgen_fast.systems import RunConfig
from deepgen_fast.training import CheckpointError, VAETrainer, read_checkpoint


@pytest.fixture
def config(images, quiet, tmp_path) -> RunConfig:
    np.save(tmp_path / "bars.npy", images.numpy())
    return RunConfig.from_mapping(
        {
            "data": {"name": str(tmp_path / "bars.npy"), "validation_fraction": 0.2},
            "model": {"hidden_dim": 8, "latent_dim": 2},
            "trainer": {**quiet, "epochs": 3, "learning_rate": 1e-2},
        }
    )


def weights(run_directory, **options) -> list[torch.Tensor]:
    return list(runs.open(run_directory, **options).model.state_dict().values())


def equal(first, second) -> bool:
    return all(torch.equal(left, right) for left, right in zip(first, second, strict=True))


def test_a_run_is_reproduced_by_its_config(config, tmp_path):
    train(config, tmp_path / "first")
    stored = RunConfig.from_toml(tmp_path / "first" / "config.toml")
    assert stored.model.event_shape == (1, 4, 4)
    torch.manual_seed(99)
    train(stored, tmp_path / "second")
    assert equal(*(weights(tmp_path / name, checkpoint="last") for name in ("first", "second")))
    other = stored.with_overrides({"trainer.seed": 1})
    train(other, tmp_path / "third")
    assert not equal(*(weights(tmp_path / name, checkpoint="last") for name in ("first", "third")))


def test_resume_lengthens_a_run(config, tmp_path):
    train(config.with_overrides({"trainer.epochs": 5}), tmp_path / "whole")
    train(config, tmp_path / "parts")
    result = resume(tmp_path / "parts", epochs=5)
    assert (result.reason, result.epochs) == ("completed", 5)
    assert equal(*(weights(tmp_path / name, checkpoint="last") for name in ("whole", "parts")))
    assert RunConfig.from_toml(tmp_path / "parts" / "config.toml").trainer.epochs == 5
    again = resume(tmp_path / "parts")
    assert (again.reason, again.steps) == ("completed", result.steps)


def test_the_best_the_last_and_a_given_checkpoint(config, tmp_path):
    result = train(config, tmp_path / "run")
    best, last = runs.open(tmp_path / "run"), runs.open(tmp_path / "run", checkpoint="last")
    assert best.epoch == result.best_epoch
    assert (last.epoch, last.step) == (3, result.steps)
    assert not best.model.training
    assert best.config == RunConfig.from_toml(tmp_path / "run" / "config.toml")
    given = runs.open(tmp_path / "run", checkpoint=last.checkpoint)
    assert equal(given.model.state_dict().values(), last.model.state_dict().values())
    with pytest.raises(CheckpointError, match="holds no averaged weights"):
        runs.open(tmp_path / "run", weights="ema")


def test_averaged_weights_are_what_is_used(config, tmp_path):
    result = train(config.with_overrides({"trainer.ema_decay": 0.9}), tmp_path / "run")
    used, averaged, raw = (weights(tmp_path / "run", weights=kind) for kind in ("auto", "ema", "raw"))
    assert equal(used, averaged)
    assert not equal(used, raw)
    assert result.best_epoch is not None


def test_held_out_pixels_are_binary_once_and_always_the_same(config, tmp_path):
    gray = 0.2 + 0.6 * torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "gray.npy", gray.numpy())
    chosen = config.with_overrides({"data.name": str(tmp_path / "gray.npy"), "data.binarize": "stochastic"})
    first, second = load_run_data(chosen), load_run_data(chosen)
    assert set(first.test.images.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first.test.images, second.test.images)
    assert torch.equal(first.validation.images, second.validation.images)
    assert first.train.images.max() < 1.0
    train(chosen, tmp_path / "run")


def test_data_too_large_for_memory_trains(config, tmp_path):
    from PIL import Image

    splits = load_dataset(config.data.name)
    (tmp_path / "pictures").mkdir()
    for index, image in enumerate(splits.train.images):
        Image.fromarray((image[0].numpy() * 255).astype(np.uint8)).save(tmp_path / "pictures" / f"{index:03d}.png")
    chosen = config.with_overrides(
        {"data.name": str(tmp_path / "pictures"), "data.in_memory_limit": 10, "data.binarize": "stochastic"}
    )
    data = load_run_data(chosen)
    assert data.train.images is None
    assert torch.equal(data.test.dataset[0], data.test.dataset[0])
    result = train(chosen, tmp_path / "lazy", splits=data)
    assert (result.reason, result.epochs) == ("completed", 3)
    assert result.history[-1]["validation_loss"] < result.history[0]["validation_loss"]


def test_data_outside_the_unit_interval_is_refused_before_training(config, tmp_path):
    np.save(tmp_path / "bytes.npy", np.full((20, 4, 4), 200.0))
    with pytest.raises(DataError, match="divide by 255 or pass values='byte'"):
        train(config.with_overrides({"data.name": str(tmp_path / "bytes.npy")}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_no_run_is_named(config, build_vae, images, quiet, tmp_path):
    with pytest.raises(RunError, match="nowhere: no such run directory"):
        runs.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"no config\.toml: not a run directory"):
        resume(tmp_path)
    VAETrainer(build_vae(), **quiet, epochs=1, run_directory=tmp_path / "by_hand").fit(images)
    with pytest.raises(RunError, match="its model was built in code"):
        runs.open(tmp_path / "by_hand")
    (tmp_path / "fresh").mkdir()
    config.write_toml(tmp_path / "fresh" / "config.toml")
    for action in (runs.open, resume):
        with pytest.raises(CheckpointError, match="no checkpoint"):
            action(tmp_path / "fresh")
    with pytest.raises(ValueError, match="weights: expected 'auto', 'raw' or 'ema', got 'mean'"):
        runs.open(tmp_path / "fresh", weights="mean")


def test_a_strangers_config_downloads_nothing(config, tmp_path, monkeypatch):
    asked: list[bool] = []

    def watched(*arguments, **options):
        asked.append(options["download"])
        return load_dataset(*arguments, **options)

    monkeypatch.setattr(run_data, "load_dataset", watched)
    train(config.with_overrides({"data.download": True}), tmp_path / "run")
    assert asked == [True]  # the user's own word
    assert RunConfig.from_toml(tmp_path / "run" / "config.toml").data.download
    assert resume(tmp_path / "run", epochs=4).epochs == 4
    load_run_data(runs.open(tmp_path / "run").config)
    assert asked == [True, False, False]


def test_an_earlier_checkpoint_is_resumed_by_name(config, tmp_path):
    settings = {"trainer.checkpoint_every": 1, "trainer.keep_checkpoints": 3}
    train(config.with_overrides(settings), tmp_path / "run")
    expected = weights(tmp_path / "run", checkpoint="last")
    latest = runs.open(tmp_path / "run", "last").checkpoint
    (latest / "training.safetensors").write_bytes(b"")
    before = (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(CheckpointError, match=r"The newest whole checkpoint is .*step-0*(\d+): ") as caught:
        resume(tmp_path / "run", epochs=9)
    assert (tmp_path / "run" / "config.toml").read_text() == before
    name = re.search(r"--checkpoint (\S+)", str(caught.value))[1]
    assert resume(tmp_path / "run", checkpoint=name).reason == "completed"
    assert equal(weights(tmp_path / "run", checkpoint="last"), expected)


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_looked_for_again(config, tmp_path, monkeypatch):
    """As by a process that trains: reading commands take no lock."""
    train(config, tmp_path / "run")
    store = tmp_path / "run" / "checkpoints"
    latest = runs.open(tmp_path / "run", "last").checkpoint
    later = store / "step-99999999"
    reads = []

    def read(path, layout):
        reads.append(path.name)
        if len(reads) == 1:
            latest.rename(later)
            state = later / "state.json"
            state.write_text(re.sub(r'"step": \d+', '"step": 99999999', state.read_text()))
            (later / "SHA256SUMS").unlink()
        return read_checkpoint(path, layout)

    monkeypatch.setattr(stored, "read_checkpoint", read)
    assert runs.open(tmp_path / "run", "last").step == 99999999
    assert reads == [latest.name, later.name]


def test_a_model_that_cannot_be_built_is_a_config_error(config, tmp_path, monkeypatch):
    def refuse(section, event_shape):
        raise RuntimeError("[enforce fail at a.cpp:127] err == 0. No memory\nException raised from f at b.h:79\nframe")

    system = replace(stored.system_named("vae"), build_model=refuse)
    monkeypatch.setattr(stored, "system_named", lambda name: system)
    with pytest.raises(ConfigError, match=r"model: cannot be built with .*latent_dim=2") as caught:
        train(config, tmp_path / "run")
    assert str(caught.value).endswith("smaller ones are needed: No memory")
