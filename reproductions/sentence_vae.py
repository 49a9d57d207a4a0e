"""Sentence VAE (Bowman et al. 2015): z says something of a sentence with the paper's two remedies, and nothing without.

    python -m reproductions.sentence_vae

On the prose of Python's own library (``pydoc``). Three models of the same sizes are trained alike: the sentence VAE
with an annealed KL and word dropout, as ``deepgen-fast train sentence-vae --min-count 3`` does; the same without
either; and the decoder alone, without z: a recurrent language model. Of each the weights of the best validation bound
are measured on the test sentences.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from deepgen_fast import runs
from deepgen_fast.data import DatasetSplits
from deepgen_fast.metrics import evaluate_elbo, importance_weighted_log_likelihood, perplexity_per_word
from deepgen_fast.runs import Run, load_run_data, train
from deepgen_fast.systems import RunConfig
from reproductions.acceptance import Claim, Options, accept
from reproductions.training import QUIET

PATHS, STEPS = 3, 6  # of the homotopies
SAMPLES = 50  # of z for log p(x), on every fourth test sentence

_WITHOUT = {"objective.annealing": "none", "objective.word_dropout": 0.0}
#: What each model changes of the defaults. The last two stop where the validation bound has stopped rising.
MODELS: dict[str, dict[str, Any]] = {
    "vae": {},
    "collapsed": {**_WITHOUT, "trainer.epochs": 8},
    "language_model": {**_WITHOUT, "trainer.epochs": 8, "model.latent_dim": 0},
}

CLAIMS = (
    Claim("vae_kl", "KL with annealing and word dropout, nats a sentence", 1.0, digits=2),
    Claim("collapsed_kl", "KL without", 0.5, "at most", digits=2),
    Claim("gain", "reconstruction above the language model's log p(x), nats a sentence", 0.0, digits=2),
    Claim("vae_elbo", "ELBO with annealing and word dropout", digits=2),
    Claim("collapsed_elbo", "ELBO without", digits=2),
    Claim("language_model_elbo", "log p(x) of the language model", digits=2),
    Claim("vae_perplexity_bound", "perplexity a word, bound, with annealing and word dropout", digits=1),
    Claim("vae_perplexity", "the same, importance-weighted", digits=1),
    Claim("collapsed_perplexity_bound", "perplexity a word, bound, without", digits=1),
    Claim("language_model_perplexity_bound", "perplexity a word of the language model", digits=1),
)


def measure(options: Options) -> dict[str, float]:
    """Train the three models, and measure each on the test sentences."""
    base = RunConfig.for_system("sentence-vae")().with_overrides(
        {**QUIET, "data.min_count": 3, "trainer.seed": options.seed}
    )
    splits = load_run_data(base)
    numbers: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, changes in MODELS.items():
            train(base.with_overrides(changes), Path(folder) / name, splits=splits)
            run = runs.open(Path(folder) / name)
            found = _judge(run, splits, weighted=name == "vae")
            numbers |= {f"{name}_{metric}": value for metric, value in found.items()}
            if name == "vae" and options.pictures is not None:
                _write(run, options.pictures / "sentence_vae.txt")
    return {**numbers, "gain": numbers["vae_log_likelihood"] - numbers["language_model_elbo"]}


def _judge(run: Run, splits: DatasetSplits, weighted: bool) -> dict[str, float]:
    assert splits.test is not None and splits.test.images is not None
    x = splits.test.images
    found = evaluate_elbo(run.model, x, batch_size=128)
    values = {"elbo": found.elbo, "kl": found.kl, "log_likelihood": found.log_likelihood}
    values["perplexity_bound"] = perplexity_per_word(found.elbo * len(x), x)
    if weighted:
        some = x[::4]
        estimate = importance_weighted_log_likelihood(run.model, some, SAMPLES, chunk_size=500)
        values["perplexity"] = perplexity_per_word(estimate.sum().item(), some)
    return values


def _write(run: Run, path: Path) -> None:
    paths = run.interpolate(PATHS, STEPS, between="examples")
    path.write_text("\n\n".join("\n".join(lines) for lines in paths) + "\n", encoding="utf-8")


if __name__ == "__main__":
    command = "deepgen-fast train sentence-vae --min-count 3"
    accept("sentence_vae", "Sentence VAE (Bowman et al. 2015)", CLAIMS, measure, command=command)
