"""`evaluate`, `sample`, `reconstruct` and `manifold` on runs that `train vae` left."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from deepgen_fast import metrics, runs
from deepgen_fast.runs.examples import some_examples, split_examples
from deepgen_fast.runs.latents import project


def test_evaluate_reports_what_the_metrics_say(command, plane_run) -> None:
    result = command("evaluate", plane_run, "--samples", 200, "--json")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert values == json.loads((plane_run / "evaluation-test.json").read_text())
    run = runs.open(plane_run)
    x = split_examples(run, "test")
    assert set(x.unique().tolist()) == {0.0, 1.0}
    elbo = metrics.evaluate_elbo(run.model, x)
    log_p = metrics.importance_weighted_log_likelihood(run.model, x, 200).mean().item()
    assert values["examples"] == values["log_p_examples"] == len(x) == 12
    assert values["elbo"] == pytest.approx(elbo.elbo)
    assert values["elbo"] == pytest.approx(values["log_likelihood"] - values["kl"])
    assert values["log_p"] == pytest.approx(log_p)
    # The tightest bound is the highest; one sample an example leaves the ELBO some noise.
    assert values["log_p"] > values["elbo"] - 1
    assert values["bits_per_dimension"] == pytest.approx(-log_p / 64 / math.log(2))
    assert values["active_units"] == metrics.active_units(run.model, x).count


def test_evaluate_prints_a_table_and_repeats(command, wide_run) -> None:
    results = [command("evaluate", wide_run, "--samples", 20, "--examples", 5) for _ in range(2)]
    assert results[0].exit_code == 0, results[0].output
    assert results[0].stdout == results[1].stdout
    assert "E_q[log p(x|z)]" in results[0].stdout
    assert "of 4" in results[0].stdout
    # Gray pixels under a Bernoulli: no code length is claimed.
    assert "not a log-probability of the data" in " ".join(results[0].stdout.split())
    assert "bits / dimension" not in results[0].stdout


def test_evaluate_other_split_without_log_p(command, wide_run) -> None:
    result = command("evaluate", wide_run, "--split", "validation", "--examples", 0, "--json")
    values = json.loads(result.stdout)
    assert values["split"] == "validation"
    assert "log_p" not in values
    assert (wide_run / "evaluation-validation.json").exists()


def test_some_examples_are_spread_over_the_split(wide_run) -> None:
    run = runs.open(wide_run)
    x = split_examples(run, "train")
    assert torch.equal(some_examples(run, "train", 3), x[[0, len(x) // 3, 2 * len(x) // 3]])
    assert torch.equal(some_examples(run, "train", 10_000), x)


def test_sample_writes_a_picture_or_numbers(command, plane_run, tmp_path) -> None:
    assert command("sample", plane_run).exit_code == 0
    assert imread(plane_run / "figures" / "samples.png")[..., :3].std() > 0.02
    paths = [tmp_path / name for name in ("first.npy", "same.npy", "other.npy", "draws.npy")]
    for path, flags in zip(paths, ([], [], ["--seed", 1], ["--pixels", "draw"]), strict=True):
        assert command("sample", plane_run, "-n", 30, "-o", path, *flags).exit_code == 0
    first, same, other, draws = (np.load(path) for path in paths)
    assert first.shape == (30, 1, 8, 8)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert set(np.unique(draws)) == {0.0, 1.0}


def test_reconstruct(command, plane_run, tmp_path) -> None:
    path = tmp_path / "pairs.png"
    result = command("reconstruct", plane_run, "--split", "train", "-n", 12, "-o", path)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(path)
    assert imread(path)[..., :3].std() > 0.02


def test_manifold_draws_both_pictures_of_two_latents(command, plane_run, tmp_path) -> None:
    result = command("manifold", plane_run, "--side", 4, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert [Path(line).name for line in result.stdout.splitlines()] == ["latent_plane.png", "manifold.png"]
    for line in result.stdout.splitlines():
        assert imread(line)[..., :3].std() > 0.02


def test_manifold_of_more_latents_projects_and_says_why_b_is_missing(command, wide_run, tmp_path) -> None:
    result = command("manifold", wide_run, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latent_plane.png"]
    assert "this model has 4" in result.stderr
    assert "--latent-dim 2" in result.stderr
    assert command("manifold", wide_run, "-o", tmp_path, "--dims", "4,1").exit_code == 0


def test_projection_to_chosen_and_principal_axes() -> None:
    torch.manual_seed(0)
    means = torch.randn(500, 3) * torch.tensor([0.1, 3.0, 1.0]) + 5.0
    points, names = project(means, (2, 0))
    assert torch.equal(points, means[:, [2, 0]])
    assert names == ("$z_{3}$", "$z_{1}$")
    points, names = project(means, None)
    # The leading components are the widest latents, up to sign.
    for axis, latent in ((0, 1), (1, 2)):
        pair = torch.stack((points[:, axis], means[:, latent]))
        assert abs(torch.corrcoef(pair)[0, 1]) > 0.99
    assert "(89 % of variance)" in names[0]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["sample", "RUN", "--pixels", "both"], 2, "--pixels: expected mean or draw, got 'both'"),
        (["evaluate", "RUN", "--split", "all"], 2, "--split: expected one of train, validation, test, got 'all'"),
        (["manifold", "RUN", "--dims", "1"], 2, "--dims: expected two numbers such as 1,2, got '1'"),
        (["manifold", "RUN", "--dims", "1,5"], 2, "--dims: expected two different latents from 1 to 2"),
        (["evaluate", "RUN", "--checkpoint", "nowhere"], 1, "nowhere: not a checkpoint"),
        (["sample", "EMPTY"], 2, "no config.toml: not a run directory"),
    ],
)
def test_mistakes(command, plane_run, tmp_path, args: list[str], code: int, message: str) -> None:
    places = {"RUN": plane_run, "EMPTY": tmp_path}
    result = command(*(places.get(arg, arg) for arg in args))
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    assert message in line
