"""Systems with classes or codes: each learns what it is known for on small pictures, and has its commands."""

from __future__ import annotations

import json
from pathlib import Path

import conditional_systems as systems
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from typer.testing import CliRunner

from deepgen_fast import runs
from deepgen_fast.cli.app import app
from deepgen_fast.runs import resume, train
from deepgen_fast.systems import RunConfig

SYSTEMS = {
    "cgan": {"model.num_classes": 3, "objective.r1": 0.1},
    "infogan": {"model.num_classes": 3, "objective.r1": 0.1},
    "catgan": {"model.num_classes": 3, "data.labels_per_class": 2},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return systems.write_bars(tmp_path_factory.mktemp("data") / "bars.npz")


def command(*args: object):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def small(system: str, data: str, **overrides) -> RunConfig:
    return systems.config(system, **{"data.name": data, "trainer.ema_decay": 0.9, **SYSTEMS[system], **overrides})


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_resumed_run_is_the_run_that_did_not_stop(system, data, tmp_path, precision):
    chosen = small(system, data, **{"trainer.precision": precision})
    whole = train(chosen.with_overrides({"trainer.epochs": 3}), tmp_path / "whole")
    train(chosen.with_overrides({"trainer.epochs": 2}), tmp_path / "parts")
    parts = resume(tmp_path / "parts", epochs=3)
    states = [runs.open(tmp_path / name, "last", weights=weights).model.state_dict() for name in ("whole", "parts")
              for weights in ("raw", "ema")]  # fmt: skip
    for first, second in ((states[0], states[2]), (states[1], states[3])):
        for name, value in first.items():
            assert torch.equal(value, second[name]) and torch.isfinite(value).all(), name
    for ours, theirs in zip(whole.history, parts.history, strict=True):
        assert {**ours, "seconds": 0, "examples_per_second": 0} == {**theirs, "seconds": 0, "examples_per_second": 0}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_command_line_uses_it(system, data, tmp_path):
    run = tmp_path / "run"
    (tmp_path / "config.toml").write_text(small(system, data, **{"trainer.epochs": 1}).to_toml())
    result = command("train", system, "--config", tmp_path / "config.toml", "--out", run)
    assert result.exit_code == 0, result.output
    assert imread(next((run / "samples").glob("*.png"))).std() > 0.01
    values = json.loads(command("evaluate", run, "--json").stdout)
    assert system != "catgan" or 0 <= values["discriminator_accuracy"] <= 1
    assert system != "infogan" or values["discriminator_categorical_information"] <= np.log(3)
    assert 0 <= values["discriminator_real_accuracy"] <= 1 and values["spread"] > 0
    result = command("interpolate", run, "--rows", 3, "--steps", 4, "-o", tmp_path / "paths.png")
    assert result.exit_code == 0, result.output
    assert imread(tmp_path / "paths.png")[..., :3].std() > 0.01
    assert command("sample", run, "-n", 9, "-o", tmp_path / "made.npy").exit_code == 0
    model = runs.open(run).model
    expected = model.sample(9, torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.from_numpy(np.load(tmp_path / "made.npy")), expected)
    result = command("sample", run, "-n", 4, "--label", 1, "-o", tmp_path / "ones.npy")
    if model.num_conditions is not None:
        assert result.exit_code == 0, result.output
        expected = model.sample(4, torch.Generator().manual_seed(0), labels=1)
        torch.testing.assert_close(torch.from_numpy(np.load(tmp_path / "ones.npy")), expected)
        assert "--label: expected 0 to 2, got 3" in command("sample", run, "--label", 3).output
    else:
        assert result.exit_code == 2 and "has no classes to choose from" in result.output


def test_a_conditional_gan_draws_the_class_that_it_is_asked_for(data, tmp_path):
    settings = {"trainer.epochs": 30, "trainer.learning_rate": 2e-3, "trainer.validate_every": 30, "model.width": 8}
    train(small("cgan", data, **settings), tmp_path / "run")
    made = runs.open(tmp_path / "run").model.sample(150, torch.Generator().manual_seed(1))
    agreement = (systems.classes_of(made) == torch.arange(150) % 3).double().mean()
    assert agreement >= 0.9, agreement  # 1/3 by chance


def test_an_infogan_finds_codes_that_can_be_read(data, tmp_path):
    settings = {"trainer.epochs": 20, "trainer.learning_rate": 2e-3, "trainer.validate_every": 20, "model.width": 8}
    result = train(small("infogan", data, **settings), tmp_path / "run")
    last = result.history[-1]
    assert last["validation_discriminator_categorical_information"] >= 0.9 * np.log(3), last
    assert last["generator_continuous_information"] > 0.5
    # The code decides what is drawn: one code, one picture; another, another.
    model = runs.open(tmp_path / "run").model
    codes = torch.arange(90) % 3
    read = model.recognize(model.from_data(model.sample(90, torch.Generator().manual_seed(1)))).logits.argmax(1)
    assert (read == codes).double().mean() >= 0.9


def test_a_catgan_learns_the_classes_from_two_labels_of_each(data, tmp_path):
    settings = {"trainer.epochs": 15, "trainer.learning_rate": 2e-3, "trainer.validate_every": 15, "model.width": 8}
    result = train(small("catgan", data, **settings), tmp_path / "run")
    assert result.history[-1]["validation_discriminator_accuracy"] >= 0.95, result.history[-1]
    model, test = runs.open(tmp_path / "run").model, systems.bars().test
    assert (model.predict(test.images) == test.labels).double().mean() >= 0.95


def test_a_catgan_sorts_what_has_no_labels(data, tmp_path):
    settings = {"trainer.epochs": 15, "trainer.learning_rate": 2e-3, "trainer.validate_every": 15, "model.width": 8}
    chosen = small("catgan", data, **settings, **{"data.labels_per_class": 0})
    result = train(chosen, tmp_path / "run")
    assert not any("accuracy" in name and "fake" not in name and "real" not in name for name in result.history[-1])
    model, test = runs.open(tmp_path / "run").model, systems.bars().test
    found = model.predict(test.images)
    counts = torch.zeros(3, 3).index_put_((found, test.labels), torch.ones(len(found)), accumulate=True)
    assert counts.amax(1).sum() / len(found) >= 0.9, counts


def test_labels_that_the_model_does_not_know_are_refused(data):
    result = command(
        *("train", "cgan", "--data", data, "--num-classes", 2, "--epochs", 1, "--device", "cpu", "--progress", "none"),
        *("--out", Path(data).with_name("never")),
    )
    assert result.exit_code == 1
    assert "train: expected labels from 0 to 1, as model.num_classes says, got 0 to 2" in result.output
