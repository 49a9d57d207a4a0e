"""How well a density model fits held-out data: the ELBO, log p(x), bits, perplexities, Bayes' rule."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deepgen_fast import metrics
from deepgen_fast.example import event_of
from deepgen_fast.runs import sentences
from deepgen_fast.runs.data import labels_of
from deepgen_fast.runs.errors import RunError
from deepgen_fast.runs.examples import BinarizedBatches, some_examples, split_examples
from deepgen_fast.runs.progress import progress_bar
from deepgen_fast.systems import system_named

if TYPE_CHECKING:
    from deepgen_fast.runs.run import Run

SAMPLES = 5000


@dataclass(frozen=True)
class DensityEvaluation:
    """Nats an example, averaged over a split; None where something does not apply or was not asked for.

    Attributes:
        split, seed: what was measured, and the seed of the noise.
        examples: their number.
        elbo, elbo_standard_error: the lower bound on log p(x), ``log_likelihood - kl``.
        log_likelihood, kl: E_q[log p(x|z)], and KL(q(z|x) || p(z)).
        active_units: latents whose mean moves with x.
        latent_dim: their number in all.
        log_p, log_p_standard_error: importance-weighted estimate of log p(x), by ``log_p_samples`` samples of
            ``log_p_examples`` examples.
        conditional: whether everything is given the class: log p(x|y).
        bits_per_dimension: code length of a pixel.
        perplexity_bound, perplexity: per word, from the ELBO and from log p(x).
        accuracy, accuracy_standard_error: of Bayes' rule, by ``class_samples`` samples a class.
        log_p_of_any_class: log sum_y p(x|y) p(y), by the same samples.
    """

    split: str
    seed: int
    examples: int
    elbo: float
    elbo_standard_error: float | None
    log_likelihood: float
    kl: float
    active_units: int | None
    latent_dim: int
    log_p: float | None = None
    log_p_standard_error: float | None = None
    log_p_examples: int | None = None
    log_p_samples: int | None = None
    conditional: bool = False
    bits_per_dimension: float | None = None
    perplexity_bound: float | None = None
    perplexity: float | None = None
    accuracy: float | None = None
    accuracy_standard_error: float | None = None
    class_samples: int | None = None
    log_p_of_any_class: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values by name, without what was not asked for."""
        kept = {"elbo_standard_error", "active_units"}
        if self.perplexity_bound is None:
            kept.add("bits_per_dimension")
        return {name: value for name, value in asdict(self).items() if value is not None or name in kept}


def evaluate_density(
    run: Run, split: str, *, samples: int | None, examples: int, class_samples: int | None, seed: int
) -> DensityEvaluation:
    """Every metric of a run on one of its splits.

    Args:
        run: of a VAE.
        split: its name.
        samples: of z an example for log p(x); 5,000 if None, of sentences 100.
        examples: for log p(x), spread over the split; 0 skips it.
        class_samples: of z an example and class, to classify the split by Bayes' rule; None does not.
        seed: of the noise.
    """
    data = split_examples(run, split)
    batches: dict[str, int] = {"batch_size": sentences.BATCH_SIZE} if run.of_sentences else {}
    elbo = metrics.evaluate_elbo(run.model, data, seed=seed, **batches)
    active = metrics.active_units(run.model, data, **batches) if elbo.num_examples > 1 else None
    found = DensityEvaluation(
        split=split,
        seed=seed,
        examples=elbo.num_examples,
        elbo=elbo.elbo,
        elbo_standard_error=_finite(elbo.standard_error),
        log_likelihood=elbo.log_likelihood,
        kl=elbo.kl,
        active_units=None if active is None else active.count,
        latent_dim=run.model.latent_dim,
        conditional=not run.of_sentences and run.model.takes_labels,
    )
    some = some_examples(run, split, max(examples, 1))
    if examples:
        found = replace(found, **_importance_weighted(run, some, samples, seed))
    if run.of_sentences:
        found = replace(found, **sentences.perplexities(found.elbo, found.log_p, data, some))
    else:
        log_p = found.elbo if found.log_p is None else found.log_p
        found = replace(found, bits_per_dimension=_bits(run, log_p, event_of(some)))
    if class_samples is not None:
        found = replace(found, **_classified(run, split, class_samples, seed))
    return found


def _importance_weighted(run: Run, some: Any, samples: int | None, seed: int) -> dict[str, Any]:
    samples = samples or (sentences.SAMPLES if run.of_sentences else SAMPLES)
    chunks: dict[str, int] = {"chunk_size": 4 * sentences.BATCH_SIZE} if run.of_sentences else {}
    with progress_bar("log p(x)") as progress:
        estimate = metrics.importance_weighted_log_likelihood(
            run.model, some, samples, seed=seed, progress=progress, **chunks
        )
    error = estimate.std(correction=min(1, len(estimate) - 1)).item() / len(estimate) ** 0.5
    return {
        "log_p": estimate.mean().item(),
        "log_p_standard_error": _finite(error),
        "log_p_examples": len(estimate),
        "log_p_samples": samples,
    }


def check_classifier(run: Run) -> None:
    """Check that Bayes' rule can be asked of a run's model.

    Raises:
        RunError: it has no p(x|y).
    """
    if not run.model.takes_labels:
        raise RunError(
            f"a {run.config.system} has no density p(x|y) of each class, which Bayes' rule needs; train a cvae for one",
            "classify",
        )


def _classified(run: Run, split: str, samples: int, seed: int) -> dict[str, Any]:
    """Accuracy of Bayes' rule on a split, and the mean of log p(x) where the class is not known (13.1)."""
    known = labels_of(system_named(run.config.system), run.data.train, run.data.name)
    assert known is not None
    log_prior = metrics.class_log_prior(known, run.model.num_classes)
    data = split_examples(run, split)
    hits, log_p = [], []
    with progress_bar("p(y|x)") as progress:
        for index, (x, labels) in enumerate(data if isinstance(data, BinarizedBatches) else [data]):
            found = metrics.generative_classification(
                run.model, x, log_prior, samples, seed=seed + index, progress=progress
            )
            hits.append(found.predicted == labels)
            log_p.append(found.log_p)
    right = torch.cat(hits).double()
    accuracy = right.mean().item()
    return {
        "accuracy": accuracy,
        "accuracy_standard_error": (accuracy * (1 - accuracy) / len(right)) ** 0.5,
        "class_samples": samples,
        "log_p_of_any_class": torch.cat(log_p).mean().item(),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _bits(run: Run, log_p: float, x: Tensor) -> float | None:
    """Bits a dimension of 8-bit images under a density or binary ones under a Bernoulli, else None."""
    dimensions = math.prod(run.model.event_shape)
    if dict(run.config.model).get("likelihood") == "gaussian":
        # The loaders divide 8-bit pixels by 255.
        width = None if run.config.data.values == "any" else 1 / 255
        return metrics.bits_per_dimension(log_p, dimensions, bin_width=width)
    binary = bool(((x == 0) | (x == 1)).all())
    return metrics.bits_per_dimension(log_p, dimensions) if binary else None
