"""A tiny image data set, and runs trained on it once for the whole session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from deepgen_fast.cli.app import app

Command = Callable[..., Result]


@pytest.fixture(scope="session")
def command() -> Command:
    """Runs a command line in this process."""
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args], prog_name="deepgen-fast")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 8x8 images: a bright upper half, a bright left half, with noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = 0.2 * rng.random((120, 8, 8), dtype=np.float32)
    images[labels == 0, :4] += 0.7
    images[labels == 1, :, :4] += 0.7
    path = tmp_path_factory.mktemp("data") / "halves.npz"
    np.savez(path, images=images, labels=labels)
    return path


def train(command: Command, dataset: Path, directory: Path, *flags: object) -> Path:
    """Three short epochs into directory."""
    result = command(
        *("train", "vae", "--data", dataset, "--set", "data.image_shape=[1, 8, 8]", "--out", directory),
        *("--hidden-dim", 16, "--epochs", 3, "--batch-size", 32, "--device", "cpu", "--progress", "none"),
        *flags,
    )
    assert result.exit_code == 0, result.output
    return directory


@pytest.fixture(scope="session")
def plane_run(command: Command, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two latents on binary pixels."""
    directory = tmp_path_factory.mktemp("runs") / "plane"
    return train(command, dataset, directory, "--latent-dim", 2, "--binarize", "stochastic")


@pytest.fixture(scope="session")
def wide_run(command: Command, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with four latents on gray pixels."""
    return train(command, dataset, tmp_path_factory.mktemp("runs") / "wide", "--latent-dim", 4)
