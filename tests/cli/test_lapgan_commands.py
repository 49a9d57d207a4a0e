"""`train lapgan` and the commands that use what it leaves: the quality of samples, and levels by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from deepgen_fast import runs
from deepgen_fast.cli.evaluate_gan import table_of
from deepgen_fast.models import fully_connected_gan
from deepgen_fast.runs.sample_quality import measure_quality, unsupported_reason
from deepgen_fast.systems import RunConfig


@pytest.fixture(scope="module")
def blobs(tmp_path_factory) -> Path:
    """Two classes of 16 x 16 images: soft spots near the upper left and near the lower right corner."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 2
    centers = np.where(labels, 10, 5)[:, None, None, None] + rng.uniform(-1.5, 1.5, (240, 2, 1, 1))
    rows, columns = np.mgrid[:16, :16]
    squared = (rows - centers[:, 0]) ** 2 + (columns - centers[:, 1]) ** 2
    images = np.exp(-squared / 12).astype(np.float32)[:, None]
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, images=images, labels=labels)
    return path


@pytest.fixture(scope="module")
def train(command, blobs, tmp_path_factory):
    def run(level: str) -> Path:
        directory = tmp_path_factory.mktemp("runs") / f"lapgan{level}"
        result = command(
            *("train", "lapgan", "--data", blobs, "--set", "data.test_fraction=0.4", "--levels", 2, "--width", 2),
            *("--latent-dim", 3, "--level", level, "--epochs", 1, "--batch-size", 32, "--device", "cpu"),
            *("--progress", "none", "--out", directory),
        )
        assert result.exit_code == 0, result.output
        return directory

    return run


@pytest.fixture(scope="module")
def whole(train) -> Path:
    return train("all")


@pytest.fixture(scope="module")
def fine(train) -> Path:
    return train("0")


def test_the_whole_chain(command, whole, tmp_path) -> None:
    assert runs.open(whole).model.present == (0, 1)
    assert command("sample", whole, "-n", 5, "-o", tmp_path / "made.npy").exit_code == 0
    assert np.load(tmp_path / "made.npy").shape == (5, 1, 16, 16)
    assert command("interpolate", whole, "--rows", 2, "--steps", 3, "-o", tmp_path / "paths.png").exit_code == 0
    assert imread(tmp_path / "paths.png")[..., :3].std() > 0.01
    record = json.loads((whole / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"discriminator_level_0", "discriminator_level_1", "generator_level_0", "generator_level_1"} <= set(record)


def test_a_fine_level_alone_is_sampled_beside_test_images(command, fine, tmp_path) -> None:
    assert command("sample", fine, "-n", 9, "-o", tmp_path / "made.npy").exit_code == 0
    made = np.load(tmp_path / "made.npy")
    assert made.shape == (9, 1, 16, 16)
    # Spread over the test split, which has both classes; an untrained generator leaves blurred images as they are.
    upper, lower = made[:, 0, :8, :8].mean((1, 2)), made[:, 0, 8:, 8:].mean((1, 2))
    assert (abs(upper - lower) > 0.1).all() and (upper > lower).any() and (lower > upper).any()
    result = command("sample", fine, "-n", 500)
    assert result.exit_code == 2 and "500 samples of this model are conditioned on as many test" in " ".join(
        result.stderr.split()
    )


def test_quality_of_samples(command, whole) -> None:
    first, again = (command("evaluate", whole, "--json") for _ in range(2))
    assert first.exit_code == again.exit_code == 0, first.output
    assert "training a classifier on" in first.stderr and "training a classifier" not in again.stderr
    assert first.stdout == again.stdout and (whole / "classifier.safetensors").exists()
    values = json.loads(first.stdout)
    quality = values["quality"]
    assert quality["num_real"] == quality["num_fake"] == sum(quality["class_counts"]) == 96
    assert quality["classifier_accuracy"] > 0.9
    # One epoch: no better than noise, and far from what training images are.
    assert quality["frechet_distance"] > 5 * quality["frechet_distance_of_training_images"] >= 0
    text = " ".join(command("evaluate", whole).stdout.split())
    assert "frechet distance" in text and "Samples per class, by the classifier" in text
    plain = json.loads(command("evaluate", whole, "--no-quality", "--json").stdout)
    assert plain == {name: value for name, value in values.items() if name != "quality"}


def test_quality_of_a_level_is_that_of_real_images_refined(fine) -> None:
    run = runs.open(fine)
    last = run.model.generator["0"][-1][0]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    quality = measure_quality(run, "test", seed=0)
    # Nothing is added, so samples are the test images, blurred: of their classes, and as many.
    assert quality["class_counts"] == [48, 48] and quality["class_divergence"] == 0
    assert quality["frechet_distance"] > quality["frechet_distance_of_training_images"]


def test_what_is_missing_for_quality_is_said(command, whole, plane_run) -> None:
    values = json.loads(command("evaluate", whole, "--split", "validation", "--json").stdout)
    assert "quality" not in values
    assert values["quality_not_measured"] == "the validation split has 24 images, and 64 features need 65"
    assert "Quality of samples is not measured: the validation split has 24" in str(table_of(values, "").caption)
    for args, message in (
        ((whole, "--split", "validation"), "--quality: the validation split has 24 images"),
        ((plane_run,), "--quality: of the samples of a GAN"),
    ):
        result = command("evaluate", *args, "--quality")
        assert result.exit_code == 2 and message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        (
            {"x": np.zeros((9, 2), np.float32)},
            {"data.values": "any", "model.output": "linear"},
            "examples of shape [2] are no images",
        ),
        ({"x": np.zeros((9, 1, 16, 16), np.float32)}, {}, "the data have no labels of two classes or more"),
        (
            {"x": np.zeros((9, 1, 4, 4), np.float32), "labels": np.arange(9) % 2},
            {"data.test_fraction": 0.2},
            "images are 4 x 4, and the classifier is for 8 to 64 pixels a side",
        ),
    ],
)
def test_why_quality_is_not_measured(tmp_path, arrays, settings, message) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    shape = arrays["x"].shape[1:]
    config = RunConfig.for_system("gan")().with_overrides({"data.name": str(tmp_path / "data.npz"), **settings})
    model = fully_connected_gan(shape, 4, 2, output="linear" if len(shape) == 1 else "sigmoid", units=2)
    assert message in unsupported_reason(runs.Run(tmp_path, model, config, 0, 0, tmp_path), "test")
