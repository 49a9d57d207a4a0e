"""A class-conditional density as a classifier: Bayes' rule (13.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepgen_fast.metrics.evaluation import device_of
from deepgen_fast.metrics.importance import importance_weighted_log_likelihood
from deepgen_fast.models.conditional_vae import ConditionalVAE
from deepgen_fast.models.generative_model import GenerativeModel


class GenerativeClassification(NamedTuple):
    """What Bayes' rule says of N examples.

    Attributes:
        log_likelihoods: `[N, K]`, log p(x|y) of every class, nats.
        log_posterior: `[N, K]`, log p(y|x).
        log_p: `[N]`, log p(x) = log sum_y p(x|y) p(y): the density of an example whose class is not known.
    """

    log_likelihoods: Tensor
    log_posterior: Tensor
    log_p: Tensor

    @property
    def predicted(self) -> Tensor:
        """The most probable class of every example, `[N]`."""
        return self.log_posterior.argmax(1)

    def accuracy(self, labels: Tensor) -> float:
        """Part of the examples whose most probable class is that of labels `[N]`.

        Raises:
            ValueError: another number of labels than of examples.
        """
        if labels.shape != self.log_p.shape:
            raise ValueError(f"labels: expected one an example, [{len(self.log_p)}], got {list(labels.shape)}")
        return (self.predicted == labels.to(self.predicted.device)).double().mean().item()


def class_log_prior(labels: Tensor, num_classes: int) -> Tensor:
    """log p(y) `[K]`, float64, by the classes' shares among labels `[N]`; -inf of a class that does not come.

    Raises:
        ValueError: no labels, or one outside 0 to K - 1.
    """
    if not len(labels) or int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        got = f"{int(labels.min())} to {int(labels.max())}" if len(labels) else "none"
        raise ValueError(f"labels: expected integers from 0 to {num_classes - 1}, got {got}")
    return (labels.bincount(minlength=num_classes).double() / len(labels)).log()


def class_log_likelihoods(
    model: ConditionalVAE,
    x: Tensor,
    num_samples: int = 100,
    *,
    chunk_size: int = 2500,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Tensor:
    """log p(x|y) of every example and class, importance-weighted with q(z|x, y), each class's own.

    The noise of an example is the same for all classes, so that classes are told apart by what they say of x.

    Args:
        model: a model that takes labels, and knows its `num_classes`.
        x: `[N, *event]`.
        num_samples: of z an example and class. Classes are mostly tens of nats apart: many fewer serve than for the
            density itself.
        chunk_size: rows a decoder pass, which bounds the memory; see `importance_weighted_log_likelihood`.
        seed: decides the noise.
        progress: called with (rows finished, N * K).

    Returns:
        `[N, K]` float64, nats, on the model's device.

    Raises:
        TypeError: the model takes no labels.
        ValueError: x holds no example, or a size is below 1.
    """
    check_class_conditional(model)
    count = len(x)

    def tell(label: int) -> Callable[[int, int], object] | None:
        return None if progress is None else lambda done, _: progress(label * count + done, model.num_classes * count)

    return torch.stack(
        [
            importance_weighted_log_likelihood(
                model,
                (x, torch.full((count,), label, device=x.device)),
                num_samples,
                chunk_size=chunk_size,
                seed=seed,
                progress=tell(label),
            )
            for label in range(model.num_classes)
        ],
        dim=1,
    )


def generative_classification(
    model: ConditionalVAE, x: Tensor, log_prior: Tensor | None = None, num_samples: int = 100, **options: Any
) -> GenerativeClassification:
    """p(y|x) = p(x|y) p(y) / sum_y p(x|y) p(y) (13.1).

    Args:
        model, x, num_samples: as in `class_log_likelihoods`, and its other arguments.
        log_prior: log p(y) `[K]`, such as `class_log_prior` of the training labels; all equal when None.

    Raises:
        TypeError, ValueError: as `class_log_likelihoods`; or a prior that is not `[K]`.
    """
    check_class_conditional(model)
    classes = model.num_classes
    if log_prior is None:
        log_prior = class_log_prior(torch.arange(classes), classes)
    if log_prior.shape != (classes,):
        raise ValueError(f"log_prior: expected shape [{classes}], got {list(log_prior.shape)}")
    log_likelihoods = class_log_likelihoods(model, x, num_samples, **options)
    log_joint = log_likelihoods + log_prior.to(device_of(model), torch.float64)
    log_p = torch.logsumexp(log_joint, dim=1)
    return GenerativeClassification(log_likelihoods, log_joint - log_p.unsqueeze(1), log_p)


def check_class_conditional(model: GenerativeModel) -> None:
    """Check that Bayes' rule can be asked of a model.

    Raises:
        TypeError: it has no p(x|y).
    """
    if not model.takes_labels:
        raise TypeError(f"model: expected one of p(x|y), such as a ConditionalVAE, got a {type(model).__name__}")
