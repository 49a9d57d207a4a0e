"""What `sample`, `reconstruct`, `interpolate` and `evaluate` do with a run on sentences: text in place of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepgen_fast.cli.runs import Run

SAMPLES = 100  # of z for log p(x): the decoder's softmax is over all words, at every word
BATCH_SIZE = 128  # sentences at once, for the same reason


def sampled(run: Run, count: int, seed: int, pixels: str) -> str:
    """Sentences of z from the prior, one a line: decoded greedily (``"mean"``) or drawn from p(x|z) (``"draw"``)."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return "\n".join(run.model.vocabulary.decode(run.model.sample(count, generator, greedy=pixels == "mean")))


def reconstructed(run: Run, split: str, count: int) -> str:
    """Sentences of a split, each above what the model makes of it."""
    from deepgen_fast.cli.runs import some_examples

    x = some_examples(run, split, count)
    return run.model.vocabulary.pairs(x, run.model.reconstruct(x))


def homotopies(run: Run, z: Any, steps: int) -> str:
    """Paths ``z [n * steps, latent_dim]`` decoded greedily: a line a step, an empty line between paths."""
    lines = run.model.vocabulary.decode(run.model.decode(z))
    return "\n\n".join("\n".join(lines[start : start + steps]) for start in range(0, len(lines), steps))


def show(text: str, path: Path | None) -> None:
    """Print a text, or write it to a file and print its name."""
    if path is None:
        print(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(path)


def perplexities(values: dict[str, Any], x: Any, some: Any) -> dict[str, float]:
    """exp of the nats a word: of the ELBO, a bound from above, and of the estimate of log p(x).

    Args:
        values: averages in nats a sentence, ``elbo`` of ``x [N, T]`` and ``log_p``, where there is one, of ``some``.
    """
    from deepgen_fast.metrics import perplexity_per_word

    found = {"perplexity_bound": perplexity_per_word(values["elbo"] * len(x), x)}
    if "log_p" in values:
        found["perplexity"] = perplexity_per_word(values["log_p"] * len(some), some)
    return found
