"""A system of an installed package is a command like the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PACKAGE = '''"""A VAE whose networks are linear: probabilistic PCA with a Bernoulli."""

import math

from torch import nn

from deepgen_fast.models import VAE, BernoulliLikelihood
from deepgen_fast.systems import variational_system


class LinearEncoder(nn.Module):
    def __init__(self, width, latent_dim):
        super().__init__()
        self.mean = nn.Linear(width, latent_dim)
        self.logvar = nn.Linear(width, latent_dim)

    def forward(self, x):
        x = x.flatten(1)
        return self.mean(x), self.logvar(x)


@variational_system("linear", "linear VAE")
def linear_vae(event_shape, *, latent_dim: int = 3, likelihood: str = "bernoulli") -> VAE:
    """A VAE of linear networks.

    Args:
        latent_dim: dimension of the latent z.
        likelihood: likelihood p(x|z).
    """
    width = math.prod(event_shape)
    decoder = nn.Sequential(nn.Linear(latent_dim, width), nn.Unflatten(-1, event_shape))
    return VAE(
        LinearEncoder(width, latent_dim),
        decoder,
        event_shape=event_shape,
        latent_dim=latent_dim,
        likelihood=BernoulliLikelihood(),
    )
'''


def install(folder: Path, name: str, source: str) -> None:
    """What pip leaves of a package with one module and one entry point."""
    (folder / f"{name}.py").write_text(source)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[deepgen_fast.systems]\n{name} = {name}\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "linear_package", PACKAGE)
    np.savez(folder / "images.npz", images=np.random.default_rng(0).random((60, 4, 4), dtype=np.float32))
    return folder


def command(site: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    line = [sys.executable, "-m", "deepgen_fast.cli", *map(str, words)]
    return subprocess.run(line, env=environment, cwd=site, capture_output=True, text=True)


def test_it_is_listed_trains_and_is_used(site: Path) -> None:
    listed = command(site, "train", "--help").stdout
    assert "linear" in listed and "Train a linear VAE." in listed
    shown = command(site, "train", "linear", "--help").stdout
    assert "Dimension of the latent z." in shown and "[default: (3)]" in shown
    quiet = ("--epochs", 2, "--device", "cpu", "--progress", "none")
    done = command(site, "train", "linear", "--data", "images.npz", "--latent-dim", 2, *quiet, "-o", "run")
    assert done.returncode == 0, done.stderr
    assert 'system = "linear"' in (site / "run" / "config.toml").read_text()
    for words in (
        ("evaluate", "run", "--samples", 5),
        ("sample", "run", "-n", 4),
        ("manifold", "run"),
        ("train", "linear", "--resume", "run", "--epochs", 3),
    ):
        done = command(site, *words)
        assert done.returncode == 0, done.stderr


def test_one_that_cannot_be_imported_is_named_and_the_others_serve(site: Path) -> None:
    install(site, "broken_package", "import nothing_of_this_name")
    done = command(site, "train", "--help")
    assert done.returncode == 0 and "linear" in done.stdout and "dcgan" in done.stdout
    assert (
        "the system 'broken_package' of the package broken_package cannot be loaded: ModuleNotFoundError: "
        "No module named 'nothing_of_this_name'" in done.stderr
    )


def test_a_name_is_taken_once(registry: None) -> None:
    from deepgen_fast.models import dcgan
    from deepgen_fast.systems import adversarial_system

    with pytest.raises(ValueError, match=r"system: there is one named 'dcgan' already, deep convolutional GAN"):
        adversarial_system("dcgan", "my GAN")(dcgan)


def test_a_model_that_lacks_something_is_told_what(registry: None) -> None:
    from torch import nn

    from deepgen_fast.training import GANTrainer, VAETrainer

    with pytest.raises(TypeError, match="expected a VariationalModel, got a Linear without check_data, event_shape"):
        VAETrainer(nn.Linear(2, 2))
    with pytest.raises(TypeError, match="expected an AdversarialModel, got a Linear without conditioned, decode"):
        GANTrainer(nn.Linear(2, 2))
