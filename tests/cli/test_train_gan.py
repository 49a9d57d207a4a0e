"""`train dcgan` and `train gan`, and the commands that use what they leave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from deepgen_fast import runs
from deepgen_fast.cli.system_commands import fields_of, flag_names, system_command
from deepgen_fast.config import TrainerConfig
from deepgen_fast.systems import RunConfig, systems
from deepgen_fast.training import RunDirectory

GANS = [system for system in systems().values() if system.trainer.kind == "gan"]


@pytest.fixture(scope="session")
def gan_run(command, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of a small DCGAN with averaged weights."""
    directory = tmp_path_factory.mktemp("runs") / "dcgan"
    result = command(
        *("train", "dcgan", "--data", dataset, "--set", "data.image_shape=[1, 8, 8]", "--image-size", 16),
        *("--width", 2, "--latent-dim", 5, "--epochs", 2, "--batch-size", 16, "--ema-decay", 0.9, "--lr", 0.001),
        *("--discriminator-steps", 2, "--r1", 0.5, "--adam-betas", "[0.4, 0.99]", "--device", "cpu"),
        *("--progress", "none", "--out", directory),
    )
    assert result.exit_code == 0, result.output
    assert "next   deepgen-fast evaluate" in result.stdout
    return directory


def test_flags_reach_the_config(gan_run) -> None:
    config = RunConfig.from_toml(RunDirectory(gan_run).config_path)
    assert config.system == "dcgan" and (gan_run / "config.toml").read_text().startswith('system = "dcgan"\n')
    assert config.model.event_shape == (1, 16, 16)
    assert (config.model.width, config.model.latent_dim) == (2, 5)
    assert (config.trainer.learning_rate, config.trainer.adam_betas) == (0.001, (0.4, 0.99))
    assert (config.trainer.discriminator_steps, config.objective.r1) == (2, 0.5)
    assert sorted(path.name for path in (gan_run / "samples").iterdir()) == ["samples-00002.png"]
    assert imread(gan_run / "figures" / "training.png")[..., :3].std() > 0.05


def test_a_run_repeats_and_lengthens_from_its_own_config(command, gan_run, tmp_path) -> None:
    again = tmp_path / "again"
    result = command("train", "dcgan", "--config", gan_run / "config.toml", "--out", again)
    assert result.exit_code == 0, result.output
    assert (again / "config.toml").read_text() == (gan_run / "config.toml").read_text()
    states = [runs.open(run, weights="raw").model.state_dict() for run in (gan_run, again)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    long = tmp_path / "long"
    assert command("train", "dcgan", "--config", gan_run / "config.toml", "--epochs", 3, "--out", long).exit_code == 0
    assert command("train", "dcgan", "--resume", again, "--epochs", 3).exit_code == 0
    states = [runs.open(run).model.state_dict() for run in (long, again)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_sample_is_what_the_averaged_generator_makes(command, gan_run, tmp_path) -> None:
    path = tmp_path / "samples.npy"
    assert command("sample", gan_run, "-n", 7, "--seed", 3, "-o", path).exit_code == 0
    loaded = runs.open(gan_run)
    assert loaded.kind == "gan" and not loaded.model.training
    expected = loaded.model.sample(7, torch.Generator().manual_seed(3))
    torch.testing.assert_close(torch.from_numpy(np.load(path)), expected)
    assert not torch.equal(
        expected, runs.open(gan_run, weights="raw").model.sample(7, torch.Generator().manual_seed(3))
    )
    assert command("sample", gan_run).exit_code == 0
    assert imread(gan_run / "figures" / "samples.png")[..., :3].std() > 0.01


def test_interpolate(command, gan_run, plane_run, tmp_path) -> None:
    for run, flags in ((gan_run, []), (plane_run, []), (plane_run, ["--between", "examples"])):
        path = tmp_path / "paths.png"
        result = command("interpolate", run, "--rows", 3, "--steps", 5, "-o", path, *flags)
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(path)
        assert imread(path)[..., :3].std() > 0.01


def test_evaluate_judges_samples(command, gan_run) -> None:
    results = [command("evaluate", gan_run, *flags) for flags in (["--json"], ["--json"], [])]
    assert results[0].exit_code == results[2].exit_code == 0, results[2].output
    assert results[0].stdout == results[1].stdout
    values = json.loads(results[0].stdout)
    assert values == json.loads((gan_run / "evaluation-test.json").read_text())
    for name in ("discriminator_real", "discriminator_fake", "discriminator_real_accuracy"):
        assert 0 <= values[name] <= 1
    assert values["spread"] > 0 and values["compared"] == 12
    assert "mode collapse" in " ".join(results[2].stdout.split())


def test_the_published_gan_trains_on_points(command, tmp_path) -> None:
    points = np.random.default_rng(0).normal(5, 2, (200, 2)).astype(np.float32)
    np.save(tmp_path / "points.npy", points)
    result = command(
        *("train", "gan", "--data", tmp_path / "points.npy", "--set", "data.values=any", "--output", "linear"),
        *("--discriminator", "leaky_relu", "--hidden-dim", 8, "--units", 8, "--epochs", 2, "--device", "cpu"),
        *("--progress", "none", "--out", tmp_path / "run"),
    )
    assert result.exit_code == 0, result.output
    assert command("sample", tmp_path / "run", "-n", 50, "-o", tmp_path / "made.npy").exit_code == 0
    assert np.load(tmp_path / "made.npy").shape == (50, 2)


@pytest.mark.parametrize("system", systems().values(), ids=lambda system: system.name)
def test_every_field_of_a_system_is_a_flag_that_says_what_it_does(command, system) -> None:
    # Typer draws boxes as wide as the terminal.
    text = " ".join(command("train", system.name, "--help").output.replace("│", " ").split())
    for section, name, field in fields_of(system):
        assert flag_names(section, name)[0] in text
        assert field.description
    own = set(system.settings.model_fields) - set(TrainerConfig.model_fields)
    named = {name for _, name, _ in fields_of(system)}
    fields = own | set(system.model.model_fields) | set(system.objective.model_fields)
    assert fields <= named | {"event_shape", "vocabulary"}
    # No two fields share a flag: the second would hide the first.
    names = [flag_names(section, name)[0] for section, name, _ in fields_of(system)]
    assert len(names) == len(set(names))
    assert system.title in system_command(system).__doc__


@pytest.mark.parametrize("system", GANS, ids=lambda system: system.name)
def test_shown_config_is_the_default(command, system, tmp_path) -> None:
    shown = tmp_path / "shown.toml"
    shown.write_text(command("train", system.name, "--show-config").stdout)
    config = RunConfig.from_toml(shown)
    assert config == RunConfig.for_system(system.name)() and config.system == system.name
    assert config.with_overrides({}) == config


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["train", "dcgan", "--loss", "best"], 2, "objective.loss: input should be 'non_saturating'"),
        (["train", "dcgan", "--discriminator-steps", "0"], 2, "trainer.discriminator_steps: input should be greater"),
        (["train", "dcgan", "--set", "data.binarize=threshold"], 2, "deep convolutional GANs are trained on pixels"),
        (["train", "dcgan", "--set", "data.values=any"], 2, "data.values='any' needs model."),
        (["train", "dcgan", "--width", "0", "--out", "TMP"], 1, "width: expected at least 1, got 0"),
        (["train", "cave"], 2, "No such command 'cave'"),
        (["train", "dcgan", "--resume", "VAE"], 2, "of another system: deepgen-fast train vae --resume"),
        (["train", "dcgan", "--resume", "RUN", "--width", "3"], 2, "it combines with --epochs and --checkpoint only"),
        (["train", "vae", "--config", "RUN/config.toml"], 2, "of another system: deepgen-fast train dcgan --config"),
        (["train", "gan", "--resume", "RUN"], 2, "of another system: deepgen-fast train dcgan --resume"),
        (["sample", "RUN", "--pixels", "draw"], 2, "--pixels: a dcgan has no p(x|z) to draw from"),
        (["reconstruct", "RUN"], 2, "a dcgan has no encoder; this needs a VAE"),
        (["manifold", "RUN"], 2, "a dcgan has no encoder; this needs a VAE"),
        (["interpolate", "RUN", "--between", "examples"], 2, "a dcgan has no encoder"),
        (["interpolate", "VAE", "--between", "points"], 2, "--between: expected samples or examples, got 'points'"),
        (["interpolate", "VAE", "--between", "examples", "--rows", "50"], 2, "50 paths have 100 ends"),
    ],
)
def test_mistakes(command, gan_run, plane_run, tmp_path, args: list[str], code: int, message: str) -> None:
    places = {"RUN": gan_run, "VAE": plane_run, "TMP": tmp_path / "new", "RUN/config.toml": gan_run / "config.toml"}
    result = command(*(places.get(arg, arg) for arg in args))
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.split())
