"""Class histograms, their divergence, and the inception score: known answers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore

from deepgen_fast.metrics import class_divergence, class_histogram, inception_score


def sharp(labels: Tensor, num_classes: int) -> Tensor:
    """Logits of a classifier that is certain."""
    return 1000.0 * torch.nn.functional.one_hot(labels, num_classes).float()


def test_histogram_of_labels_and_of_logits() -> None:
    labels = torch.tensor([2, 0, 2, 2, 4])
    assert class_histogram(labels, 6).tolist() == [1, 0, 3, 0, 1, 0]
    assert class_histogram(labels.to(torch.uint8), 5).tolist() == [1, 0, 3, 0, 1]
    logits = torch.randn(100, 7)
    assert torch.equal(class_histogram(logits), class_histogram(logits.argmax(1), 7))
    assert torch.equal(class_histogram(logits.softmax(1)), class_histogram(logits))


def test_divergence() -> None:
    uniform = torch.ones(10)
    assert class_divergence(torch.full((10,), 37), uniform) == pytest.approx(0.0, abs=1e-15)
    # A model of m of K equal classes is log(K / m) away.
    for kept in (1, 4, 9):
        fake = torch.tensor([50] * kept + [0] * (10 - kept))
        assert class_divergence(fake, uniform) == pytest.approx(math.log(10 / kept), rel=1e-12)
    p, q = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64), torch.tensor([10, 60, 30])
    expected = 0.2 * math.log(0.2 / 0.1) + 0.3 * math.log(0.3 / 0.6) + 0.5 * math.log(0.5 / 0.3)
    assert class_divergence(p, q) == pytest.approx(expected, rel=1e-12)
    assert class_divergence(torch.tensor([1, 1]), torch.tensor([1, 0])) == math.inf


def test_inception_score_of_known_predictions() -> None:
    classes = torch.arange(1000) % 10
    assert inception_score(sharp(classes, 10)).value == pytest.approx(10.0, rel=1e-9)
    assert inception_score(torch.zeros(1000, 10)).value == pytest.approx(1.0, abs=1e-12)
    assert inception_score(sharp(torch.zeros(1000, dtype=torch.int64), 10)).value == pytest.approx(1.0, abs=1e-12)
    # Three of ten classes.
    assert inception_score(sharp(torch.arange(999) % 3, 10), num_splits=1).value == pytest.approx(3.0, rel=1e-9)


def test_inception_score_is_its_definition_over_splits() -> None:
    logits = torch.randn(205, 6, dtype=torch.float64)
    scores = []
    for part in logits.softmax(1).tensor_split(4):
        marginal = part.mean(0)
        divergences = [sum(p * math.log(p / q) for p, q in zip(row, marginal, strict=True)) for row in part]
        scores.append(math.exp(sum(divergences) / len(part)))
    score = inception_score(logits, num_splits=4)
    assert score.value == pytest.approx(sum(scores) / 4, rel=1e-12)
    assert score.standard_deviation == pytest.approx(torch.tensor(scores, dtype=torch.float64).std().item(), rel=1e-9)
    assert math.isnan(inception_score(logits, num_splits=1).standard_deviation)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save", "ignore:std")
def test_inception_score_agrees_with_torchmetrics() -> None:
    logits = 2 * torch.randn(300, 6, dtype=torch.float64)
    # One split: torchmetrics shuffles before it splits.
    metric = InceptionScore(feature=nn.Identity(), splits=1).set_dtype(torch.float64)
    metric.update(logits)
    assert inception_score(logits, num_splits=1).value == pytest.approx(metric.compute()[0].item(), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.tensor([0, 1]),), "num_classes: needed for labels"),
        ((torch.tensor([0, 5]), 5), "predictions: expected labels from 0 to 4, got 0 to 5"),
        ((torch.tensor([-1, 2]), 5), "predictions: expected labels from 0 to 4, got -1 to 2"),
        ((torch.tensor([], dtype=torch.int64), 5), "predictions: expected at least one sample, got none"),
        ((torch.zeros(0, 5),), "predictions: expected at least 1 samples, got 0"),
        ((torch.tensor([0.0, 1.0]), 5), "predictions: expected integer labels .* got torch.float32 of shape"),
        ((torch.zeros(3, 4), 5), "num_classes: expected 4, as predictions has, got 5"),
        ((torch.full((3, 4), float("nan")),), "predictions: 12 values are NaN or infinite"),
    ],
)
def test_bad_predictions(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_histogram(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fake", "real", "message"),
    [
        ([1, 2], [1, 2, 3], r"fake: expected the shape of real, \[3\], got \[2\]"),
        ([0, 0], [1, 2], "fake: expected counts .* not all 0"),
        ([1, 2], [-1, 2], "real: expected counts .* of at least 0"),
    ],
)
def test_bad_histograms(fake: list[int], real: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_divergence(torch.tensor(fake), torch.tensor(real))


def test_too_few_samples_for_the_splits() -> None:
    with pytest.raises(ValueError, match="logits: expected at least 10 samples, got 9"):
        inception_score(torch.zeros(9, 3))
