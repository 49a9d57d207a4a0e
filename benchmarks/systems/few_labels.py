"""The baseline of learning from few labels: the same network, taught the labelled examples alone."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.data import Split


def labels_of(split: Split) -> Tensor:
    assert split.labels is not None
    return split.labels


def accuracy(predicted: Tensor, split: Split) -> float:
    """Part of the predictions that are right."""
    return (predicted == labels_of(split)).double().mean().item()


def supervised(model: Any, train: Split, settings: Any, steps: int) -> Any:
    """Train a model's discriminator as a classifier, with the cross entropy of the labelled examples as its only loss.

    Args:
        model: that can ``classify``; trained in place.
        train: whose labels are negative where there are none.
        settings: of the trainer that it stands beside: batch size, learning rate and Adam's betas.
        steps: of the optimiser.
    """
    assert train.images is not None
    labelled = labels_of(train) >= 0
    images, labels = train.images[labelled], labels_of(train)[labelled]
    optimizer = torch.optim.Adam(model.discriminator_parameters(), settings.learning_rate, betas=settings.adam_betas)
    for _ in range(steps):
        rows = torch.randint(len(images), (settings.batch_size,))
        loss = F.cross_entropy(model.classify(model.from_data(images[rows])), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()
