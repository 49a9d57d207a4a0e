"""`deepgen-fast train vae`: flags over files, runs that repeat from their directory, and errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from deepgen_fast.systems import RunConfig
from deepgen_fast.training import RunDirectory
from deepgen_fast.training.state.run_lock import RunLock


def weights(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = RunDirectory(run).checkpoints.latest()
    assert checkpoint is not None
    return load_file(checkpoint / "model.safetensors")


def assert_same_run(first: Path, second: Path) -> None:
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def test_flags_reach_the_config(plane_run, dataset) -> None:
    config = RunConfig.from_toml(RunDirectory(plane_run).config_path)
    assert config.data.name == str(dataset)
    assert config.data.image_shape == (1, 8, 8)
    assert config.data.binarize == "stochastic"
    assert config.model.latent_dim == 2
    assert config.model.hidden_dim == 16
    assert config.trainer.epochs == 3
    lines = (plane_run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_a_run_repeats_from_its_own_config(command, plane_run, tmp_path) -> None:
    again = tmp_path / "again"
    result = command("train", "vae", "--config", plane_run / "config.toml", "--out", again)
    assert result.exit_code == 0, result.output
    assert_same_run(plane_run, again)
    assert (again / "config.toml").read_text() == (plane_run / "config.toml").read_text()


def test_a_lengthened_run_equals_an_unbroken_one(command, plane_run, tmp_path) -> None:
    config = plane_run / "config.toml"
    short, long = tmp_path / "short", tmp_path / "long"
    assert command("train", "vae", "--config", config, "--epochs", 2, "--out", short).exit_code == 0
    assert command("train", "vae", "--config", config, "--epochs", 4, "--out", long).exit_code == 0
    result = command("train", "vae", "--resume", short, "--epochs", 4)
    assert result.exit_code == 0, result.output
    assert_same_run(short, long)
    assert RunConfig.from_toml(RunDirectory(short).config_path).trainer.epochs == 4


def test_flags_override_the_file_and_settings_override_flags(command, tmp_path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('[model]\nlatent_dim = 7\nactivation = "tanh"\n[trainer]\nepochs = 9\n')
    result = command(
        *("train", "vae", "--config", file, "--latent-dim", 5, "--epochs", 4, "--show-config"),
        *("--set", "trainer.epochs=6", "--set", "model.channels=[8, 16]", "--set", "data.name=digits"),
    )
    assert result.exit_code == 0, result.output
    shown = tmp_path / "shown.toml"
    shown.write_text(result.stdout)
    config = RunConfig.from_toml(shown)
    assert config.model.latent_dim == 5
    assert config.model.activation == "tanh"
    assert config.model.channels == (8, 16)
    assert config.trainer.epochs == 6
    assert config.data.name == "digits"


def test_shown_config_is_the_default_and_explains_every_field(command, tmp_path) -> None:
    result = command("train", "vae", "--show-config")
    shown = tmp_path / "shown.toml"
    shown.write_text(result.stdout)
    assert RunConfig.from_toml(shown) == RunConfig.for_system("vae")()
    for section in RunConfig.model_fields:
        for name, field in type(getattr(RunConfig.for_system("vae")(), section)).model_fields.items():
            (line,) = [
                line
                for line in result.stdout.split(f"[{section}]")[1].split("\n\n")[0].splitlines()
                if line.startswith((f"{name} =", f"# {name} ="))
            ]
            assert field.description in line


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--epochs", 0], "trainer.epochs: input should be greater than or equal to 1, got 0"),
        (["--likelihood", "poisson"], "model.likelihood: input should be 'bernoulli' or 'gaussian'"),
        (["--set", "model.depth=3"], "model.depth: no such field"),
        (["--set", "epochs=3"], "--set: expected section.field=value, got 'epochs=3'"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--objective", "importance_weighted"], "num_samples: the importance-weighted bound needs it"),
        (["--resume", "no/such/run"], "no/such/run"),
    ],
)
def test_wrong_flags_are_usage_errors(command, args: list[object], message: str) -> None:
    result = command("train", "vae", *args)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert message in line


def test_a_config_file_with_a_mistake_names_file_and_field(command, tmp_path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[trainer]\nepoch = 3\n")
    result = command("train", "vae", "--config", file)
    assert result.exit_code == 2
    assert f"{file}: trainer.epoch: no such field" in result.stderr


def test_a_used_directory_is_refused(command, plane_run) -> None:
    before = (plane_run / "metrics.jsonl").read_text()
    result = command("train", "vae", "--out", plane_run)
    assert result.exit_code == 2
    assert "already holds a run: --resume it, or name another directory" in result.stderr
    assert (plane_run / "metrics.jsonl").read_text() == before


def test_a_run_that_trains_is_not_resumed_but_can_be_used(command, plane_run, tmp_path) -> None:
    lock = RunLock(plane_run)
    lock.acquire()
    try:
        refused = command("train", "vae", "--resume", plane_run, "--epochs", 99)
        used = command("sample", plane_run, "--out", tmp_path / "samples.png")
    finally:
        lock.release()
    assert refused.exit_code == 1
    assert f"{plane_run}: another trainer of this process" in refused.stderr
    assert "trains in this run directory: wait until it has ended, or name another directory" in refused.stderr
    assert "epochs = 99" not in (plane_run / "config.toml").read_text()
    assert used.exit_code == 0, used.output


def test_a_damaged_checkpoint_and_how_to_go_on(command, plane_run, tmp_path) -> None:
    run = Path(shutil.copytree(plane_run, tmp_path / "run"))
    steps = sorted((run / "checkpoints").glob("step-*"))
    (steps[-1] / "training.safetensors").write_bytes(b"")
    result = command("train", "vae", "--resume", run)
    assert result.exit_code == 2
    assert f"{steps[-1]}: damaged: training.safetensors: " in result.stderr
    assert f"The newest whole checkpoint is {steps[0]}: name it to go on from there" in result.stderr
    assert f"--checkpoint {steps[0].name} beside --resume" in result.stderr
    assert command("train", "vae", "--resume", run, "--checkpoint", steps[0].name).exit_code == 0
    result = command("train", "vae", "--checkpoint", steps[0].name)
    assert result.exit_code == 2
    assert "--checkpoint: says where to go on from, and there is no --resume" in result.stderr


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (10**30, "model.latent_dim: input should be less than or equal to 2147483647, got 1000"),
        ("true", "model.latent_dim: input should be a valid integer, got True"),
    ],
)
def test_sizes_that_are_none_are_named(command, tmp_path, value: object, message: str) -> None:
    result = command("train", "vae", "--set", f"model.latent_dim={value}", "--out", tmp_path / "run")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert message in line


def test_resume_takes_no_other_flag_and_needs_a_run(command, plane_run, tmp_path) -> None:
    result = command("train", "vae", "--resume", plane_run, "--beta", 2)
    assert result.exit_code == 2
    assert "--resume takes the run's own config: it combines with --epochs and --checkpoint only" in result.stderr
    result = command("train", "vae", "--resume", tmp_path)
    assert result.exit_code == 2
    assert "no config.toml" in result.stderr


def test_bad_data_stop_before_training(command, tmp_path) -> None:
    out = tmp_path / "run"
    result = command("train", "vae", "--data", tmp_path / "none.npz", "--out", out)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "none.npz: no such file" in line
    assert not out.exists()
