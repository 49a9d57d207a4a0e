"""Learning from ten labels a class of mnist5k, beside the same network taught these labeled digits alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.data import DatasetSplits, Split, keep_labels
from deepgen_fast.random import seeded
from deepgen_fast.systems import RunConfig
from reproductions.training import trained

LABELS = 10  # a class


class Comparison(NamedTuple):
    """A system that learned from few labels, and two test accuracies: its own, and of its network without the rest."""

    model: Any
    accuracy: float
    baseline: float


def compare(system: str, build: Callable[..., Any], data: DatasetSplits, seed: int) -> Comparison:
    """Train a system with a few labels of the data, and its network on the labeled examples alone.

    Args:
        system: its name.
        build: makes its model of the shape of an example.
        data: mnist5k, split by the seed.
        seed: decides which examples are labeled, too.
    """
    assert data.test is not None
    model, history = trained(system, seed, data__labels_per_class=LABELS, data__split_seed=seed)
    train = keep_labels(data.train, LABELS, seed=seed)
    with seeded(seed):
        alone = supervised(build(train.event_shape), train, RunConfig.for_system(system)().trainer, history[-1]["step"])
    return Comparison(model, *(accuracy(predictions(one, data.test), data.test) for one in (model, alone)))


def labels_of(split: Split) -> Tensor:
    assert split.labels is not None
    return split.labels


def predictions(model: Any, split: Split) -> Tensor:
    """Of all examples at once: the split has as many of each class, which its parts, in the data's order, have not."""
    assert split.images is not None
    return model.predict(split.images)


def accuracy(predicted: Tensor, split: Split) -> float:
    """Part of the predictions that are right."""
    return (predicted == labels_of(split)).double().mean().item()


def supervised(model: Any, train: Split, settings: Any, steps: int) -> Any:
    """Train a model's discriminator as a classifier, with the cross entropy of the labeled examples as its only loss.

    Args:
        model: that can ``classify``; trained in place.
        train: whose labels are negative where there are none.
        settings: of the trainer that it stands beside: batch size, learning rate and Adam's betas.
        steps: of the optimizer.
    """
    assert train.images is not None
    labeled = labels_of(train) >= 0
    images, labels = train.images[labeled], labels_of(train)[labeled]
    optimizer = torch.optim.Adam(model.discriminator_parameters(), settings.learning_rate, betas=settings.adam_betas)
    for _ in range(steps):
        rows = torch.randint(len(images), (settings.batch_size,))
        loss = F.cross_entropy(model.classify(model.from_data(images[rows])), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()
