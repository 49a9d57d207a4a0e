"""All metrics at once: the same numbers as the functions give, and known answers on labeled vectors."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn

from deepgen_fast.data import GaussianMixture
from deepgen_fast.metrics import (
    SampleEvaluator,
    class_divergence,
    class_histogram,
    density_coverage,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)

CLASSES = GaussianMixture([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0], [6.0, 6.0]], 1.0)


def draw(count: int, seed: int, kept: int = 4) -> Tensor:
    x, modes = CLASSES.sample_with_modes(8 * count, generator=torch.Generator().manual_seed(seed))
    return x[modes < kept][:count]


def classify(x: Tensor) -> Tensor:
    """The exact posterior of the four classes."""
    return -0.5 * torch.cdist(x, CLASSES.means.float()).square()


def test_is_what_the_functions_give() -> None:
    real, fake = draw(300, 0), draw(200, 1) + 0.2
    quality = SampleEvaluator(lambda x: 2 * x, real, classifier=classify, batch_size=64, seed=5)(fake)
    kernel = kernel_distance(2 * real, 2 * fake, subset_size=200, seed=5)
    counts = class_histogram(classify(fake))
    assert (quality.num_real, quality.num_fake) == (300, 200)
    assert quality.frechet_distance == pytest.approx(frechet_distance(2 * real, 2 * fake), rel=1e-10)
    assert (quality.kernel_distance, quality.kernel_distance_std) == pytest.approx(tuple(kernel), rel=1e-10)
    assert (quality.precision, quality.recall) == tuple(precision_recall(2 * real, 2 * fake))
    assert (quality.density, quality.coverage) == tuple(density_coverage(2 * real, 2 * fake))
    assert quality.class_counts is not None and torch.equal(quality.class_counts, counts)
    assert quality.class_divergence == class_divergence(counts, class_histogram(classify(real)))
    assert quality.inception_score == pytest.approx(inception_score(classify(fake)).value, rel=1e-6)


def test_tells_a_dropped_class_from_blur() -> None:
    evaluate = SampleEvaluator(lambda x: x, draw(1000, 0), classifier=classify)
    good, dropped = evaluate(draw(1000, 1)), evaluate(draw(1000, 2, kept=3))
    blurred = evaluate(draw(1000, 3) + 4 * torch.randn(1000, 2))
    assert good.num_classes_found == 4 and dropped.num_classes_found == 3
    assert dropped.class_divergence == pytest.approx(math.log(4 / 3), abs=0.05)
    assert good.class_divergence is not None and good.class_divergence < 0.01
    assert good.frechet_distance < 0.2 < min(dropped.frechet_distance, blurred.frechet_distance)
    assert good.kernel_distance < 0.05 * min(dropped.kernel_distance, blurred.kernel_distance)
    assert dropped.coverage < 0.8 < good.coverage and dropped.recall < 0.8 < good.recall
    assert blurred.precision < 0.8 < good.precision and blurred.density < 0.7 < dropped.density


def test_one_pass_over_a_generator_of_batches() -> None:
    model, drawn = nn.Linear(2, 2), []

    def samples():
        for seed in range(5):
            drawn.append(seed)
            yield model(draw(40, seed))

    evaluate = SampleEvaluator(lambda x: x, draw(100, 9), classifier=classify)
    quality = evaluate(samples())
    assert drawn == [0, 1, 2, 3, 4] and quality.num_fake == 200
    whole = evaluate(torch.cat([model(draw(40, seed)).detach() for seed in range(5)]))
    batched, at_once = quality.as_dict(), whole.as_dict()
    assert batched.pop("class_counts") == at_once.pop("class_counts")
    assert batched == pytest.approx(at_once, rel=1e-5)


def test_without_a_classifier_and_as_plain_numbers() -> None:
    evaluate = SampleEvaluator(lambda x: x, draw(50, 0))
    values = evaluate(draw(50, 1)).as_dict()
    # 50 samples of 50: one estimate of the kernel distance, so no standard deviation; nothing of classes.
    assert list(values) == [
        "num_real", "num_fake", "frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage",
    ]  # fmt: skip
    with_classes = SampleEvaluator(lambda x: x, draw(50, 0), classifier=classify)(draw(40, 1)).as_dict()
    assert sum(with_classes["class_counts"]) == 40  # type: ignore[arg-type]
    assert json.loads(json.dumps(with_classes)) == with_classes


def test_modules_are_left_in_their_modes() -> None:
    extractor, classifier = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)), nn.Linear(2, 3)
    evaluate = SampleEvaluator(extractor, draw(50, 0), classifier=classifier)
    assert evaluate(draw(50, 1)).as_dict() == evaluate(draw(50, 1)).as_dict()
    assert torch.is_grad_enabled() and extractor.training and extractor[1].training and classifier.training


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_samples(count: int) -> None:
    with pytest.raises(ValueError, match=f"real: expected at least 6 samples, got {count}"):
        SampleEvaluator(lambda x: x, draw(count, 0))
    evaluate = SampleEvaluator(lambda x: x, draw(50, 0))
    with pytest.raises(ValueError, match=f"fake: expected at least 6 samples, got {count}"):
        evaluate(draw(count, 1))
    with pytest.raises(ValueError, match="fake: expected at least one example"):
        evaluate([])


def test_a_diverged_model_is_told() -> None:
    evaluate = SampleEvaluator(lambda x: x, draw(50, 0))
    with pytest.raises(ValueError, match="fake: 50 of 50 samples have NaN or infinite features"):
        evaluate(draw(50, 1) * float("nan"))
