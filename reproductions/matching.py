"""Clusters and the classes that they stand for."""

from __future__ import annotations

from scipy.optimize import linear_sum_assignment
from torch import Tensor


def counts_of(clusters: Tensor, classes: Tensor, num_clusters: int, num_classes: int = 10) -> Tensor:
    """How many examples are in both: ``[num_clusters, num_classes]`` for two ``[N]``."""
    return (clusters * num_classes + classes).bincount(minlength=num_clusters * num_classes).view(-1, num_classes)


def matched(counts: Tensor) -> float:
    """Part of the examples that lie right when each cluster is given to a class of its own, as fits best."""
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    return counts[rows, columns].sum().item() / counts.sum().item()


def majority(counts: Tensor) -> Tensor:
    """The class that most of each cluster's examples have, ``[num_clusters]``."""
    return counts.argmax(1)
