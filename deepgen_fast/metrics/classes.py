"""What a classifier sees in a model's samples: class counts, their divergence from the data's, inception score."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from deepgen_fast.metrics.evaluation import check_positive


class InceptionScore(NamedTuple):
    """Mean over the splits, and their standard deviation (NaN for one split)."""

    value: float
    standard_deviation: float


def class_histogram(predictions: Tensor, num_classes: int | None = None) -> Tensor:
    """Count the samples of each class.

    Args:
        predictions: labels `[N]`, integers from 0; or logits or probabilities `[N, K]`, of which the largest decides.
        num_classes: K; needed for labels, and taken from the shape for logits.

    Returns:
        int64 `[K]`.

    Raises:
        ValueError: no sample, a label out of range, NaN, or num_classes that is missing or not that of the logits.
    """
    if predictions.dim() == 2 and predictions.is_floating_point():
        _check_logits("predictions", predictions, at_least=1)
        if num_classes not in (None, predictions.shape[1]):
            raise ValueError(f"num_classes: expected {predictions.shape[1]}, as predictions has, got {num_classes}")
        return predictions.argmax(dim=1).bincount(minlength=predictions.shape[1])
    if predictions.dim() != 1 or predictions.is_floating_point() or predictions.dtype == torch.bool:
        raise ValueError(
            "predictions: expected integer labels [N] or floating-point logits [N, K], "
            f"got {predictions.dtype} of shape {list(predictions.shape)}"
        )
    if num_classes is None:
        raise ValueError("num_classes: needed for labels, which do not show how many classes there are")
    check_positive("num_classes", num_classes)
    if predictions.numel() == 0:
        raise ValueError("predictions: expected at least one sample, got none")
    low, high = (bound.item() for bound in predictions.aminmax())
    if low < 0 or high >= num_classes:
        raise ValueError(f"predictions: expected labels from 0 to {num_classes - 1}, got {low} to {high}")
    return predictions.bincount(minlength=num_classes)


def class_divergence(fake: Tensor, real: Tensor) -> float:
    """KL(fake || real) of two class histograms, in nats: 0 when the model has the data's proportions.

    The direction of Metz et al. 2017 and Srivastava et al. 2017 for classes that a model drops: those count with
    weight 0, and the divergence stays finite; a model of one of K equal classes has log K. It is infinite where the
    model has a class that the data lacks.

    Args:
        fake: counts or proportions `[K]` of a model's samples, as of `class_histogram`.
        real: counts or proportions `[K]` of the data.

    Raises:
        ValueError: the shapes differ, or a histogram is empty or has a negative or non-finite number.
    """
    if fake.shape != real.shape:
        raise ValueError(f"fake: expected the shape of real, {list(real.shape)}, got {list(fake.shape)}")
    p, q = _proportions("fake", fake), _proportions("real", real)
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum().item()


def inception_score(logits: Tensor, *, num_splits: int = 10) -> InceptionScore:
    """exp of the mean over samples of KL(p(y|x) || p(y)) (Salimans et al. 2016, section 4).

    From 1 (nothing told apart) to the number of classes K (every sample clear, all classes equally frequent), on
    whatever classifier gave the logits. p(y) is the mean of p(y|x) over the split.

    Args:
        logits: `[N, K]`, unnormalized log p(y|x). The order of samples decides the splits.
        num_splits: consecutive parts to average over; 10 is the paper's.

    Raises:
        ValueError: fewer samples than splits, NaN or infinity.
    """
    check_positive("num_splits", num_splits)
    log_conditional = _check_logits("logits", logits, at_least=num_splits).double().log_softmax(dim=1)
    scores = []
    for part in log_conditional.tensor_split(num_splits):
        log_marginal = part.logsumexp(dim=0) - math.log(part.shape[0])
        scores.append((part.exp() * (part - log_marginal)).sum(dim=1).mean().exp())
    values = torch.stack(scores)
    spread = values.std().item() if num_splits > 1 else math.nan
    return InceptionScore(values.mean().item(), spread)


def _check_logits(name: str, logits: Tensor, *, at_least: int) -> Tensor:
    if logits.dim() != 2 or not logits.is_floating_point() or logits.shape[1] == 0:
        raise ValueError(f"{name}: expected floating-point logits [N, K], got {logits.dtype} {list(logits.shape)}")
    if logits.shape[0] < at_least:
        raise ValueError(f"{name}: expected at least {at_least} samples, got {logits.shape[0]}")
    if not logits.isfinite().all():
        raise ValueError(f"{name}: {int((~logits.isfinite()).sum())} values are NaN or infinite")
    return logits.detach()


def _proportions(name: str, histogram: Tensor) -> Tensor:
    values = histogram.detach().double().cpu()
    if values.dim() != 1 or not (values.isfinite() & (values >= 0)).all() or values.sum() == 0:
        raise ValueError(f"{name}: expected counts [K] of at least 0, not all 0, got {histogram.tolist()}")
    return values / values.sum()
