"""Digits of the class that is asked for, in the eyes of a classifier of real digits.

The classifier was trained on the digits of mnist5k, and has never seen a generated one.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch

from deepgen_fast.data import load_dataset
from deepgen_fast.metrics import SampleEvaluator, classification_accuracy, digit_classifier
from deepgen_fast.models.labels import labels_in_turn
from deepgen_fast.training import save_image_grid
from reproductions.acceptance import Claim, Options
from reproductions.training import trained

SAMPLES = 2000  # as many of each class
ROWS = 10  # of the picture, which has a column for each class


def claims(bound: float) -> tuple[Claim, ...]:
    """Of what ``measure`` measures, with the least agreement to expect."""
    return (
        Claim("agreement", "part of samples that a classifier of real digits finds to be the digit asked for", bound),
        Claim("least_agreement", "the same of the class where it is least", digits=2),
        Claim("distance", "Fréchet distance to the training digits in the classifier's features", digits=2),
        Claim("held_out", "the classifier's accuracy on held-out real digits"),
    )


def measure(system: str, options: Options, **overrides: Any) -> dict[str, float]:
    """Train the system, draw as many of each class, and ask the classifier."""
    data = load_dataset("mnist5k")
    assert data.train.images is not None and data.test is not None and data.test.images is not None
    classifier = digit_classifier(seed=options.seed)
    model, _ = trained(system, options.seed, **overrides)
    labels = labels_in_turn(SAMPLES, model.num_classes)
    samples = model.sample(SAMPLES, torch.Generator().manual_seed(options.seed), labels=labels)
    by_class = [classification_accuracy(classifier, samples[labels == k], labels[labels == k]) for k in range(10)]
    if options.pictures is not None:
        shown = model.sample(ROWS * model.num_classes, torch.Generator().manual_seed(0))
        save_image_grid(shown, options.pictures / f"{system}.png", model.num_classes)
    return {
        "agreement": statistics.fmean(by_class),
        "least_agreement": min(by_class),
        "distance": SampleEvaluator(classifier.features, data.train.images)(samples).frechet_distance,
        "held_out": classification_accuracy(classifier, data.test.images, data.test.labels),
    }
