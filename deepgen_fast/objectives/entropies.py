"""What the players of a CatGAN minimize: entropies of the classes that a discriminator finds."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.example import Example, event_of, with_event
from deepgen_fast.objectives.few_labels import label_parts, labeled_of
from deepgen_fast.objectives.gan import AdversarialLoss
from deepgen_fast.objectives.weights import check_weights
from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.random import BatchNoise

_LEAST = 1e-6  # nats: certainties nearer to 0 and 1 have no finite logit in float32


def entropies(logits: Tensor) -> Tensor:
    """``[B]``, in nats: H[p(y|x)] of each example, between 0 and log K; in float32, or float64 for float64 logits.

    Args:
        logits: ``[B, K]``, unnormalized log p(y|x).
    """
    return _entropy(_wide(logits).log_softmax(1), 1)


def marginal_entropy(logits: Tensor) -> Tensor:
    """``[]``, in nats: H[p(y)] with p(y) the mean of p(y|x) over the batch, between 0 and log K; dtype as of
    ``entropies``.

    Args:
        logits: ``[B, K]``, unnormalized log p(y|x).
    """
    log_p = _wide(logits).log_softmax(1).logsumexp(0) - math.log(len(logits))
    return _entropy(log_p, 0)


def _wide(logits: Tensor) -> Tensor:
    """Differences of float16 logits overflow in float16, also where autocast is off."""
    return logits.to(accumulation_dtype(logits.dtype))


def _entropy(log_p: Tensor, dim: int) -> Tensor:
    """-sum of p log p: nothing where p is 0, whose logarithm is no finite number."""
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(dim)


def certainty_logits(logits: Tensor) -> Tensor:
    """``[B]``: the logit of a classifier's certainty, 1 - H[p(y|x)] / log K.

    A CatGAN's discriminator has no output for "real": it is to be sure of the class of a real example, and to have no
    idea of a generated one's. So its certainty, 1 for one class and 0 for all alike, stands where D(x) does elsewhere;
    above 0 the entropy is less than half of what it can be.

    Args:
        logits: ``[B, K]``, unnormalized log p(y|x), K at least 2.
    """
    found = entropies(logits)
    return (math.log(logits.shape[1]) - found).clamp(min=_LEAST).log() - found.clamp(min=_LEAST).log()


class CategoricalObjective:
    """Entropies of p(y|x, D), by which D sorts real examples into classes and G makes examples that it can sort.

    The discriminator, which is sure of each real example, uses all classes alike, and has no idea of generated ones
    (equation 7), maximizes

        H_X[p(y|D)] - E_x[H[p(y|x, D)]] + E_z[H[p(y|G(z), D)]],

    less lambda times the cross entropy of labeled examples (equation 9); the generator minimizes (equation 8)

        -H_G[p(y|D)] + E_z[H[p(y|G(z), D)]].

    Marginals p(y|D) are means over the batch: over this process's rows of it, where processes share one.

    Args:
        label_weight: lambda, of the cross entropy of labeled examples.

    Raises:
        ValueError: a weight that is negative or not finite.

    ``parts`` of the discriminator are ``marginal_entropy``, ``real_entropy`` and ``fake_entropy`` in nats, and, where
    there are labels, ``cross_entropy`` and ``accuracy``; of the generator ``marginal_entropy`` and ``entropy``. Logits
    are ``certainty_logits``.

    Source: Springenberg, "Unsupervised and semi-supervised learning with categorical generative adversarial networks",
    2016.
    """

    semi_supervised = True
    feature_matching = False

    def __init__(self, label_weight: float = 1.0) -> None:
        check_weights(label_weight=label_weight)
        self.label_weight = label_weight
        self.threshold: float | None = 0.0
        self.part_names: dict[str, tuple[str, ...]] = {
            "discriminator": ("marginal_entropy", "real_entropy", "fake_entropy", "cross_entropy", "accuracy"),
            "generator": ("marginal_entropy", "entropy"),
        }

    def parts_of(self, model: Any) -> dict[str, tuple[str, ...]]:
        """``part_names``, whatever the model."""
        return self.part_names

    def for_validation(self) -> CategoricalObjective:
        """The same; labels are then those of the held-out examples themselves."""
        return self

    def discriminator_loss(
        self,
        model: Any,
        real: Example,
        fake: Example,
        *,
        step: int = 0,
        noise: BatchNoise | None = None,
        labeled: Example | None = None,
    ) -> AdversarialLoss:
        """Of one batch of each.

        Args:
            model: a ``CatGAN``, or anything that can ``classify``.
            real, fake: examples; each is classified as a batch of its own. What made ``fake`` gets no gradient.
            step, noise: unused.
            labeled: examples and their labels ``[B]``; in their stead those of ``real`` that have a label, if any.
        """
        real_logits = model.classify(real)
        fake_logits = model.classify(with_event(fake, event_of(fake).detach()))
        marginal, certain, uncertain = marginal_entropy(real_logits), entropies(real_logits), entropies(fake_logits)
        value = certain.mean() - marginal - uncertain.mean()
        parts = {"marginal_entropy": marginal, "real_entropy": certain.mean(), "fake_entropy": uncertain.mean()}
        logits, labels = labeled_of(real_logits, real) if labeled is None else (model.classify(labeled), labeled[1])
        parts |= label_parts(logits, labels)
        if "cross_entropy" in parts:
            value = value + self.label_weight * parts["cross_entropy"]
        detached = {name: part.detach() for name, part in parts.items()}
        certainties = certainty_logits(real_logits.detach()), certainty_logits(fake_logits.detach())
        return AdversarialLoss(value, *certainties, detached)

    def generator_loss(self, model: Any, fake: Example, **options: Any) -> AdversarialLoss:
        """Of one batch of generated examples.

        Args:
            model: as for ``discriminator_loss``.
            fake: what the generator made, with its graph.
            options: as of ``AdversarialObjective``; unused.
        """
        logits = model.classify(fake)
        marginal, conditional = marginal_entropy(logits), entropies(logits).mean()
        parts = {"marginal_entropy": marginal.detach(), "entropy": conditional.detach()}
        return AdversarialLoss(conditional - marginal, None, certainty_logits(logits.detach()), parts)
