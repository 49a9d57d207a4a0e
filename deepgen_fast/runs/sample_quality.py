"""How good a GAN's images are, measured by a classifier that is trained on the run's own data: no downloads."""

from __future__ import annotations

import hashlib
import math
import sys
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deepgen_fast import metrics
from deepgen_fast.metrics.image_classifier import ConvolutionalFeatures
from deepgen_fast.models import is_image
from deepgen_fast.random import BatchNoise
from deepgen_fast.runs.examples import split_named
from deepgen_fast.runs.latents import decoded

if TYPE_CHECKING:
    from deepgen_fast.runs.run import Run

_LEAST_SIDE, _LARGEST_SIDE = 8, 64  # pixels: below, the classifier has nothing to see; above, it is slow to train
_LEAST_IMAGES = ConvolutionalFeatures.num_features + 1  # fewer have a singular covariance
_MOST_IMAGES = 5000  # compared
_EPOCHS, _LEAST_STEPS, _BATCH_SIZE = 8, 200, 64  # of its training
_CACHE = "classifier.safetensors"


def unsupported_reason(run: Run, split: str) -> str | None:
    """Why the quality of samples cannot be measured here; None where it can."""
    shape = run.model.event_shape
    if not is_image(shape):
        return f"examples of shape {list(shape)} are no images"
    if run.config.data.values == "any":
        return "pixels are not known to lie in [0, 1] (data.values is any)"
    data = run.data_with_all_labels
    train, part = data.train, split_named(data, split)
    if train.images is None or part.images is None:
        return "the data do not fit in memory, where the classifier is trained whose features are compared"
    if train.labels is None or len(train.labels.unique()) < 2:
        return (
            "the data have no labels of two classes or more, to train the classifier with whose features are compared"
        )
    height, width = _seen(run, part.images[:1]).shape[2:]
    if min(height, width) < _LEAST_SIDE or max(height, width) > _LARGEST_SIDE:
        return (
            f"images are {height} x {width}, and the classifier is for {_LEAST_SIDE} to {_LARGEST_SIDE} pixels a side"
        )
    if len(part) < _LEAST_IMAGES:
        return f"the {split} split has {len(part)} images, and {_LEAST_IMAGES - 1} features need {_LEAST_IMAGES}"
    return None


def measure_quality(run: Run, split: str, *, seed: int) -> dict[str, Any]:
    """As many samples as the split has images (5,000 at most) against these, as plain numbers.

    Features and classes are those of a classifier of the run's training images, kept in the run directory. As many
    training images, measured in the same way, say how near to 0 a distance of so few can come.
    """
    real, labels = _some(run, split, _MOST_IMAGES)
    seen, classifier = _seen(run, real), _classifier(run)
    evaluate = metrics.SampleEvaluator(classifier.features, seen, classifier=classifier, seed=seed)
    noise = BatchNoise(torch.Generator().manual_seed(seed))
    quality = evaluate(decoded(run, run.model.sample_latents_like(real, noise)).clamp(0.0, 1.0))
    values: dict[str, Any] = quality.as_dict()
    if split != "train":
        train, _ = _some(run, "train", len(real))
        values["frechet_distance_of_training_images"] = evaluate(_seen(run, train)).frechet_distance
    if labels is not None:
        values["classifier_accuracy"] = metrics.classification_accuracy(classifier, seen, labels)
    return values


def _classifier(run: Run) -> metrics.ImageClassifier:
    train = run.data_with_all_labels.train
    assert train.images is not None and train.labels is not None
    images, labels = _seen(run, train.images), train.labels
    digest = hashlib.sha256(images.numpy().tobytes())
    digest.update(labels.numpy().tobytes())
    path = run.directory / _CACHE

    def fit() -> metrics.ImageClassifier:
        note = f"sample quality: training a classifier on {len(images)} images, once; kept as {path}"
        print(note, file=sys.stderr)
        epochs = max(_EPOCHS, math.ceil(_LEAST_STEPS * _BATCH_SIZE / len(images)))
        return metrics.train_image_classifier(images, labels, epochs=epochs, batch_size=_BATCH_SIZE)

    return metrics.cached_classifier(path, {"data": run.config.data.name, "images": digest.hexdigest()}, fit)


def _seen(run: Run, images: Tensor) -> Tensor:
    """Images as a model without fault would make them: in a pyramid, of the size of its finest level."""
    return run.model.to_data(run.model.from_data(images)).contiguous()


def _some(run: Run, split: str, count: int) -> tuple[Tensor, Tensor | None]:
    """At most ``count`` images and their labels, at even distances: data often come sorted by class."""
    part = split_named(run.data_with_all_labels, split)
    if count < len(part):
        part = part.subset(torch.arange(count) * len(part) // count)
    assert part.images is not None
    return part.images, part.labels
