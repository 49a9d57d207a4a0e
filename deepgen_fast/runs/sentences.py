"""What a model of sentences makes: text in place of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from deepgen_fast.metrics import perplexity_per_word
from deepgen_fast.runs.examples import some_examples

if TYPE_CHECKING:
    from deepgen_fast.runs.run import Run

SAMPLES = 100  # of z for log p(x): the decoder's softmax is over all words, at every word
BATCH_SIZE = 128  # sentences at once, for the same reason


def sampled(run: Run, count: int, seed: int, draw: bool) -> list[str]:
    """Sentences of z from the prior, decoded greedily, or with ``draw`` drawn from p(x|z)."""
    generator = torch.Generator().manual_seed(seed)
    return run.model.vocabulary.decode(run.model.sample(count, generator, greedy=not draw))


def reconstructed(run: Run, split: str, count: int) -> str:
    """Sentences of a split, each above what the model makes of it."""
    x = some_examples(run, split, count)
    return run.model.vocabulary.pairs(x, run.model.reconstruct(x))


def paths(run: Run, z: Any, steps: int) -> list[list[str]]:
    """Paths ``z [n * steps, latent_dim]`` decoded greedily: the texts of each path."""
    lines = run.model.vocabulary.decode(run.model.decode(z))
    return [lines[start : start + steps] for start in range(0, len(lines), steps)]


def perplexities(elbo: float, log_p: float | None, x: Any, some: Any) -> dict[str, Any]:
    """Perplexities per word: from the ELBO, a bound from above, and from the estimate of log p(x).

    Args:
        elbo, log_p: averages in nats a sentence, of ``x [N, T]`` and, where there is one, of ``some``.
    """
    found = {"perplexity_bound": perplexity_per_word(elbo * len(x), x)}
    if log_p is not None:
        found["perplexity"] = perplexity_per_word(log_p * len(some), some)
    return found
