"""Conditional VAE (Doersch 2016): digits of the class that is asked for.

    python -m benchmarks.systems.cvae

A classifier that was trained on the real digits of mnist5k, and has never seen a generated one, says which digit each
sample is. The model learns binary pixels (at 0.5), and a sample is their probability, E[x|z, y]: its edges are soft, as
a real digit's are.
"""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.systems.acceptance import Claim, Options, accept
from benchmarks.systems.training import trained
from deepgen_fast.data import load_dataset
from deepgen_fast.metrics import SampleEvaluator, classification_accuracy, digit_classifier
from deepgen_fast.trainers import save_image_grid

SAMPLES = 2000  # as many of each class
ROWS = 10  # of the picture

CLAIMS = (
    Claim("agreement", "part of samples that a classifier of real digits finds to be the digit asked for", 0.95),
    Claim("least_agreement", "the same of the class where it is least", digits=2),
    Claim("distance", "Fréchet distance to the training digits in the classifier's features", digits=2),
    Claim("held_out", "the classifier's accuracy on held-out real digits"),
)


def measure(options: Options) -> dict[str, float]:
    """Train, draw as many of each class, and ask the classifier."""
    data = load_dataset("mnist5k")
    assert data.train.images is not None and data.test is not None and data.test.images is not None
    classifier = digit_classifier(seed=options.seed)
    model, _ = trained("cvae", options.seed, data__binarize="threshold")
    labels = torch.arange(SAMPLES) % model.num_classes
    samples = model.sample(SAMPLES, torch.Generator().manual_seed(options.seed), labels=labels)
    by_class = [classification_accuracy(classifier, samples[labels == k], labels[labels == k]) for k in range(10)]
    if options.pictures is not None:
        draw(model, options.pictures / "cvae.png")
    return {
        "agreement": classification_accuracy(classifier, samples, labels),
        "least_agreement": min(by_class),
        "distance": SampleEvaluator(classifier.features, data.train.images)(samples).frechet_distance,
        "held_out": classification_accuracy(classifier, data.test.images, data.test.labels),
    }


def draw(model: torch.nn.Module, path: Path) -> None:
    """A column for each class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = model.sample(ROWS * model.num_classes, torch.Generator().manual_seed(0))
    save_image_grid(samples, path, model.num_classes)


if __name__ == "__main__":
    accept(
        "cvae",
        "Conditional VAE (Doersch 2016)",
        CLAIMS,
        measure,
        command="deepgen-fast train cvae --binarize threshold",
    )
