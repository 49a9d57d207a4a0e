"""Commands on a conditional VAE and on a deep latent Gaussian model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from deepgen_fast import runs
from deepgen_fast.systems import RunConfig


@pytest.fixture(scope="module")
def by_class(command, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional VAE of bright upper and bright left halves, with two latents."""
    directory = tmp_path_factory.mktemp("runs") / "cvae"
    result = command(
        *("train", "cvae", "--data", dataset, "--set", "data.image_shape=[1, 8, 8]", "--num-classes", 2),
        *("--hidden-dim", 16, "--latent-dim", 2, "--epochs", 30, "--batch-size", 16, "--lr", 0.01, "--beta", 1),
        *("--device", "cpu", "--progress", "none", "--out", directory),
    )
    assert result.exit_code == 0, result.output
    return directory


def ok(result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def test_samples_by_class(command, by_class, tmp_path) -> None:
    ok(command("sample", by_class, "-n", 20, "-o", tmp_path / "all.npy"))
    ok(command("sample", by_class, "-n", 20, "--label", 1, "-o", tmp_path / "left.npy"))
    upper, left = np.load(tmp_path / "all.npy")[0::2, 0], np.load(tmp_path / "left.npy")[:, 0]
    assert upper[:, :4].mean() - upper[:, 4:].mean() > 0.4
    assert left[:, :, :4].mean() - left[:, :, 4:].mean() > 0.4
    ok(command("sample", by_class, "-n", 20, "--pixels", "draw", "-o", tmp_path / "draw.npy"))
    assert set(np.unique(np.load(tmp_path / "draw.npy"))) == {0.0, 1.0}
    ok(command("sample", by_class, "-n", 20))
    assert imread(by_class / "figures" / "samples.png").std() > 0.05


def test_bayes_rule_tells_the_classes_apart(command, by_class) -> None:
    text = ok(command("evaluate", by_class, "--classify", "--class-samples", 20, "--samples", 20, "--json"))
    values = json.loads(text)
    assert values["accuracy"] == 1.0 and values["class_samples"] == 20 and values["conditional"]
    # Knowing the class is worth log 2 where the two never look alike.
    assert values["log_p_of_any_class"] == pytest.approx(values["log_p"] - np.log(2), abs=0.5)
    table = " ".join(ok(command("evaluate", by_class, "--classify", "--class-samples", 5, "--samples", 5)).split())
    assert "log p(x|y)" in table and "accuracy" in table and "of Bayes' rule" in table
    assert json.loads((by_class / "evaluation-test.json").read_text())["class_samples"] == 5


def test_pictures_know_the_classes(command, by_class, tmp_path) -> None:
    for name in ("reconstruct", "interpolate"):
        ok(command(name, by_class, *(("--rows", 3) if name == "interpolate" else ("-n", 8))))
    ok(command("interpolate", by_class, "--rows", 2, "--steps", 3, "--between", "examples", "-o", tmp_path / "x.png"))
    ok(command("manifold", by_class, "--side", 3))
    names = {path.name for path in (by_class / "figures").iterdir()}
    assert {"reconstructions-test.png", "interpolation.png", "latent_plane.png"} <= names
    assert {"manifold-0.png", "manifold-1.png"} <= names and "manifold.png" not in names


def test_what_has_no_classes_is_not_classified(command, plane_run, by_class) -> None:
    result = command("evaluate", plane_run, "--classify")
    assert result.exit_code == 2
    assert "--classify: a vae has no density p(x|y) of each class, which Bayes' rule needs" in result.stderr
    result = command("sample", by_class, "--label", 2)
    assert result.exit_code == 2 and "--label: expected 0 to 1, got 2" in result.stderr


@pytest.mark.parametrize("covariance", ["diagonal", "rank_one"])
def test_deep_latent_gaussian_models(command, dataset, tmp_path, covariance) -> None:
    run = tmp_path / "dlgm"
    ok(
        command(
            *("train", "dlgm", "--data", dataset, "--set", "data.image_shape=[1, 8, 8]", "--binarize", "stochastic"),
            *("--hidden-dim", 16, "--latent-dims", "[2, 3]", "--covariance", covariance, "--epochs", 2),
            *("--precision", "bf16", "--ema-decay", 0.9, "--batch-size", 16, "--device", "cpu", "--progress", "none"),
            *("--out", run),
        )
    )
    assert RunConfig.from_toml(run / "config.toml").model.latent_dims == (2, 3)
    ok(command("train", "dlgm", "--resume", run, "--epochs", 3))
    loaded = runs.open(run)
    assert loaded.kind == "vae" and loaded.model.latent_dims == (2, 3)
    values = json.loads(ok(command("evaluate", run, "--samples", 50, "--json")))
    assert values["elbo"] < values["log_p"] < 0 and values["latent_dim"] == 5
    ok(command("sample", run, "-n", 4, "-o", tmp_path / "made.npy"))
    assert np.load(tmp_path / "made.npy").shape == (4, 1, 8, 8)
    for name in ("reconstruct", "interpolate", "manifold"):
        ok(command(name, run))
