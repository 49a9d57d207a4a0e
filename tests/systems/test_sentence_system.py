"""The system `sentence-vae`: it learns to speak by z, resumes, loads without its corpus, and refuses other data."""

from __future__ import annotations

import json
import math
import random
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from deepgen_fast import runs
from deepgen_fast.cli.app import app
from deepgen_fast.config import ConfigError
from deepgen_fast.data import DataError
from deepgen_fast.data.vocabulary import tokenize
from deepgen_fast.metrics import evaluate_elbo, importance_weighted_log_likelihood, perplexity_per_word
from deepgen_fast.runs import load_run_data, resume, train
from deepgen_fast.systems import RunConfig

NOUNS = ("cat", "dog", "bird", "fish", "horse", "mouse", "cow", "bee", "owl", "fox")
VERBS = {"sees": "well", "likes": "much", "meets": "often", "hears": "clearly", "finds": "soon", "fears": "never"}
ADJECTIVES = ("old", "young", "big", "small", "good", "bad", "wild", "tame")
ENTROPY = math.log(len(NOUNS) * len(VERBS) * len(ADJECTIVES))  # of a sentence


def sentence(adjective: str, noun: str, verb: str) -> str:
    """The noun comes twice and the verb tells the adverb: a decoder that cannot see them needs z."""
    return f"the {adjective} {noun} {verb} the {noun} {VERBS[verb]}."


ALL = [sentence(a, n, v) for a in ADJECTIVES for n in NOUNS for v in VERBS]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """400 of the 480 sentences."""
    chosen = random.Random(0).sample(ALL, 400)
    path = tmp_path_factory.mktemp("data") / "lines.txt"
    path.write_text("\n".join(chosen).replace("the old", "The old"), encoding="utf-8")
    return path


def config(corpus, **overrides) -> RunConfig:
    settings = {"data.name": str(corpus), "data.max_words": 8, "model.embedding_dim": 12, "model.hidden_dim": 24}
    settings |= {
        "model.latent_dim": 3,
        "model.dropout": 0.0,
        "trainer.schedule": "none",
        "trainer.progress": "none",
        "trainer.tensorboard": False,
    }
    settings |= {"trainer.device": "cpu", "trainer.threads": 1, "trainer.epochs": 2, "objective.annealing_steps": 20}
    return RunConfig.for_system("sentence-vae")().with_overrides(settings | overrides)


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """A run that has learned."""
    directory = tmp_path_factory.mktemp("runs") / "learned"
    chosen = {"trainer.epochs": 65, "trainer.learning_rate": 1e-2, "objective.word_dropout": 0.7}
    chosen |= {"objective.annealing_steps": 800, "model.hidden_dim": 48, "model.embedding_dim": 24}
    train(config(corpus, **chosen), directory)
    return directory


def test_it_learns_to_speak_by_z(run):
    loaded = runs.open(run)
    test = load_run_data(loaded.config).test.images
    found = evaluate_elbo(loaded.model, test)
    assert found.kl > 1.0
    # Better than any model can do that does not see the sentence; and not much is paid for it.
    assert found.log_likelihood > -ENTROPY + 1.0
    assert found.elbo > -ENTROPY - 2.0
    drawn = loaded.model.vocabulary.decode(loaded.model.sample(200, torch.Generator().manual_seed(0), greedy=False))
    assert sum(sentence in ALL for sentence in drawn) > 120
    assert len(set(drawn)) > 50


def test_the_estimate_of_log_p_lies_above_the_bound(run):
    loaded = runs.open(run)
    test = load_run_data(loaded.config).test.images
    bound = evaluate_elbo(loaded.model, test, num_samples=20).elbo
    estimate = importance_weighted_log_likelihood(loaded.model, test, 50)
    assert bound < estimate.mean() < bound + 3.0
    chunked = importance_weighted_log_likelihood(loaded.model, test, 50, chunk_size=37)
    torch.testing.assert_close(chunked, estimate, rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_it_resumes_bit_for_bit(corpus, tmp_path, precision):
    chosen = config(corpus, **{"trainer.precision": precision, "trainer.ema_decay": 0.9, "model.dropout": 0.2})
    train(chosen.with_overrides({"trainer.epochs": 3}), tmp_path / "whole")
    train(chosen, tmp_path / "parts")
    resume(tmp_path / "parts", epochs=3)
    first, second = (runs.open(tmp_path / name) for name in ("whole", "parts"))
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    assert runs.open(tmp_path / "whole", weights="raw").epoch == 3
    shown = tmp_path / "whole" / "samples"
    assert len((shown / "samples-00003.txt").read_text().splitlines()) == 10
    assert len((shown / "reconstructions-00003.txt").read_text().splitlines()) == 16


def test_a_run_loads_without_its_corpus(corpus, tmp_path):
    moved = tmp_path / "moved.txt"
    shutil.copy(corpus, moved)
    train(config(moved), tmp_path / "run")
    rows = load_run_data(config(moved)).test.images
    moved.unlink()
    loaded = runs.open(tmp_path / "run")
    assert loaded.model.vocabulary.text == loaded.config.model.vocabulary
    assert loaded.model.event_shape == (9,)
    words = {word for row in loaded.model.vocabulary.decode(rows) for word in tokenize(row)}
    assert words == {"the", ".", *NOUNS, *VERBS, *VERBS.values(), *ADJECTIVES}


def test_other_words_than_the_models_are_refused(corpus, tmp_path):
    moved = tmp_path / "lines.txt"
    shutil.copy(corpus, moved)
    train(config(moved), tmp_path / "run")
    moved.write_text(moved.read_text().replace("cat", "lion"))
    with pytest.raises(DataError, match=r"its words are not those of model\.vocabulary"):
        resume(tmp_path / "run", epochs=3)


def test_sentences_and_images_are_told_apart(corpus, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((40, 4, 4), dtype=np.float32))
    with pytest.raises(DataError, match="holds no sentences, and a sentence VAE is trained on them"):
        train(config(tmp_path / "images.npy"))
    with pytest.raises(DataError, match="holds sentences, and a variational autoencoder is trained on images"):
        train(RunConfig.for_system("vae")().with_overrides({"data.name": str(corpus)}))
    with pytest.raises(ConfigError, match="min_words: no such field"):
        RunConfig.for_system("vae")().with_overrides({"data.min_words": 3})
    with pytest.raises(ConfigError, match="binarize"):
        config(corpus, **{"data.binarize": "stochastic"})


def test_perplexity_counts_words_and_ends():
    x = torch.tensor([[4, 5, 2, 0], [4, 2, 0, 0]])
    assert perplexity_per_word(-5 * math.log(7), x) == pytest.approx(7)
    with pytest.raises(ValueError, match="expected sentences, got no word"):
        perplexity_per_word(0.0, x[:, 3:])


def command(*args: object) -> str:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_line_trains_it(corpus, tmp_path):
    text = " ".join(command("train", "sentence-vae", "--help").replace("│", " ").split())
    assert "Train a sentence VAE" in text and "[default: (pydoc)]" in text
    assert "--word-dropout" in text and "--image-size" not in text and "--vocabulary" not in text
    flags = ("--word-dropout", 0.2, "--annealing", "linear", "--max-words", 9, "--min-count", 3, "--hidden-dim", 8)
    run = tmp_path / "run"
    command(
        "train",
        "sentence-vae",
        "--data",
        corpus,
        *flags,
        "--epochs",
        1,
        "--threads",
        1,
        "--progress",
        "none",
        "-o",
        run,
    )
    stored = RunConfig.from_toml(run / "config.toml")
    assert (stored.objective.word_dropout, stored.data.max_words, stored.data.min_count) == (0.2, 9, 3)
    assert stored.model.event_shape == (10,) and stored.model.vocabulary.startswith("<pad> <bos> <eos> <unk> ")
    command("train", "sentence-vae", "--resume", run, "--epochs", 2)


def test_the_command_line_speaks(run, tmp_path):
    lines = command("sample", run, "-n", 7).splitlines()
    assert len(lines) == 7 and all(line.startswith("the ") and line.endswith(".") for line in lines)
    drawn = command("sample", run, "-n", 7, "--pixels", "draw", "-o", tmp_path / "made" / "drawn.txt")
    assert drawn.strip() == str(tmp_path / "made" / "drawn.txt")
    assert len((tmp_path / "made" / "drawn.txt").read_text().splitlines()) == 7
    pairs = command("reconstruct", run, "-n", 5).splitlines()
    given = runs.open(run).model.vocabulary.decode(load_run_data(runs.open(run).config).test.images)
    assert len(pairs) == 10 and set(pairs[0::2]) <= set(given)
    assert all(line.startswith("    ") for line in pairs[1::2])


def test_the_command_line_prints_homotopies(run):
    paths = command("interpolate", run, "--between", "examples", "--rows", 3, "--steps", 6).strip().split("\n\n")
    assert [len(path.splitlines()) for path in paths] == [6, 6, 6]
    loaded = runs.open(run)
    test = load_run_data(loaded.config).test.images
    chosen = test[torch.arange(6) * len(test) // 6]
    ends = loaded.model.vocabulary.decode(loaded.model.reconstruct(chosen))
    assert [path.splitlines()[0] for path in paths] == ends[:3]
    assert [path.splitlines()[-1] for path in paths] == ends[3:]
    drawn = [command("interpolate", run, "--rows", 1, "--steps", 3, "--seed", seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_command_line_evaluates(run):
    values = json.loads(command("evaluate", run, "--samples", 10, "--json"))
    loaded = runs.open(run)
    test = load_run_data(loaded.config).test.images
    assert values["elbo"] == pytest.approx(evaluate_elbo(loaded.model, test, batch_size=128).elbo)
    assert values["elbo"] == pytest.approx(values["log_likelihood"] - values["kl"])
    assert values["log_p_samples"] == 10 and values["active_units"] >= 1
    assert values["perplexity_bound"] == pytest.approx(math.exp(-values["elbo"] / 9))  # 8 words and the end
    assert values["perplexity"] == pytest.approx(math.exp(-values["log_p"] / 9))
    assert "bits_per_dimension" not in values
    table = command("evaluate", run, "--examples", 0)
    assert "perplexity, bound" in table and "bits" not in table
