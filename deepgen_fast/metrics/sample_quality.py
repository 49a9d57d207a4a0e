"""Every metric of a model's samples at once, with one pass over the images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from deepgen_fast.metrics.classes import class_divergence, class_histogram, inception_score
from deepgen_fast.metrics.evaluation import Examples, batches_of, check_positive
from deepgen_fast.metrics.features import FeatureExtractor, check_features, device_for, evaluating, features_of
from deepgen_fast.metrics.frechet import GaussianStatistics, frechet_distance
from deepgen_fast.metrics.kernel import kernel_distance
from deepgen_fast.metrics.neighbors import density_coverage, precision_recall

# As kernel_distance and inception_score have them, where there are samples enough.
_SUBSET_SIZE = 1000
_NUM_SPLITS = 10


@dataclass(frozen=True)
class SampleQuality:
    """What `SampleEvaluator` tells of a set of samples. What needs a classifier is None without one.

    Attributes:
        num_real, num_fake: images compared.
        frechet_distance: `frechet_distance`, FID with these features; lower is better.
        kernel_distance, kernel_distance_std: `kernel_distance`, KID with these features, over subsets of 1,000 or of
            the smaller set; lower is better, 0 in expectation for equal distributions.
        precision, recall: `precision_recall`, 3 neighbors.
        density, coverage: `density_coverage`, 5 neighbors.
        class_counts: int64 `[K]`, samples of each class, as the classifier sees them.
        class_divergence: KL of their proportions from the classes that the classifier sees in the data, nats.
        num_classes_found: classes with at least one sample.
        inception_score: `inception_score` on the classifier, over 10 splits.
    """

    num_real: int
    num_fake: int
    frechet_distance: float
    kernel_distance: float
    kernel_distance_std: float
    precision: float
    recall: float
    density: float
    coverage: float
    class_counts: Tensor | None = None
    class_divergence: float | None = None
    num_classes_found: int | None = None
    inception_score: float | None = None

    def as_dict(self) -> dict[str, float | int | list[int]]:
        """Plain numbers, for a table or a line of JSON; without what is None or NaN."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.class_counts is not None:
            values["class_counts"] = self.class_counts.tolist()
        return {
            name: value
            for name, value in values.items()
            if value is not None and not (isinstance(value, float) and math.isnan(value))
        }


class SampleEvaluator:
    """Compares samples with data through any feature extractor; the data's features are made once.

    Memory: one batch of images, the features of both sets (`(N + M) * d` numbers), and blocks of fixed size.

    Args:
        extractor: images `[b, *event]` to features `[b, d]`, as for `extract_features`.
        real: images of the data, `[N, *event]`, or an iterable of batches. Held-out data tell a model that copies its
            training set from one that does not; the literature's FID takes the training set.
        classifier: images `[b, *event]` to logits `[b, K]`, for what is told of classes.
        batch_size: images a pass, for tensors.
        seed: of the subsets of `kernel_distance`.

    Example:
        >>> classifier = digit_classifier()
        >>> evaluator = SampleEvaluator(classifier.features, digits, classifier=classifier)
        >>> evaluator(samples).frechet_distance

    Raises:
        ValueError: real holds fewer than 6 images, or the extractor does not give one finite vector an image.
    """

    #: One more than the neighbors that density_coverage looks at.
    MIN_SAMPLES = 6

    def __init__(
        self,
        extractor: FeatureExtractor,
        real: Examples,
        *,
        classifier: Callable[[Tensor], Tensor] | None = None,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        self.extractor = extractor
        self.classifier = classifier
        self.batch_size = check_positive("batch_size", batch_size)
        self.seed = seed
        features, self._real_logits = self._pass(real, "real")
        self._real = check_features("real", features, at_least=self.MIN_SAMPLES)
        self._statistics = GaussianStatistics.of(self._real)

    def __call__(self, fake: Examples) -> SampleQuality:
        """Evaluate samples of a model.

        Args:
            fake: images `[M, *event]`, or an iterable of batches; a generator expression that calls the model is run
                without gradients, a batch at a time.

        Raises:
            ValueError: fewer than 6 images, or features of another width than the data's, NaN or infinity.
        """
        features, logits = self._pass(fake, "fake")
        features = check_features("fake", features, at_least=self.MIN_SAMPLES)
        subset_size = min(_SUBSET_SIZE, len(self._real), len(features))
        # A subset of everything is the same every time: one estimate then.
        whole = subset_size == max(len(self._real), len(features))
        kernel = kernel_distance(self._real, features, subset_size=None if whole else subset_size, seed=self.seed)
        fidelity = precision_recall(self._real, features)
        depth = density_coverage(self._real, features)
        quality = SampleQuality(
            num_real=len(self._real),
            num_fake=len(features),
            frechet_distance=frechet_distance(self._statistics, features),
            kernel_distance=kernel.value,
            kernel_distance_std=kernel.standard_deviation,
            precision=fidelity.precision,
            recall=fidelity.recall,
            density=depth.density,
            coverage=depth.coverage,
        )
        if logits is None or self._real_logits is None:
            return quality
        counts = class_histogram(logits).cpu()
        return dataclasses.replace(
            quality,
            class_counts=counts,
            class_divergence=class_divergence(counts, class_histogram(self._real_logits).cpu()),
            num_classes_found=int((counts > 0).sum()),
            inception_score=inception_score(logits, num_splits=min(_NUM_SPLITS, len(logits))).value,
        )

    def _pass(self, images: Examples, name: str) -> tuple[Tensor, Tensor | None]:
        """Features `[N, d]` and logits `[N, K]`: one pass, so that an iterable is walked once."""
        features, logits = [], []
        with evaluating(self.extractor, self.classifier):
            for batch in batches_of(images, self.batch_size, device_for(self.extractor, images), name):
                features.append(features_of(self.extractor, batch))
                if self.classifier is not None:
                    logits.append(self.classifier(batch))
        return torch.cat(features), torch.cat(logits) if logits else None
