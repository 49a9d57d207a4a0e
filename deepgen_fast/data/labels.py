"""Labels of a part of the examples only: which are kept, and batches of those."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from deepgen_fast.data.batches import Batches
from deepgen_fast.data.checks import DataError
from deepgen_fast.data.splits import Split
from deepgen_fast.random import BatchNoise

#: The label of an example that has none.
UNLABELED = -1


def keep_labels(split: Split, per_class: int, *, seed: int = 0, name: str = "data") -> Split:
    """The split with the labels of ``per_class`` examples of each class, and ``UNLABELED`` for all others.

    Args:
        split: of ``N`` examples.
        per_class: labels of each class to keep; 0 keeps none; a class with fewer examples keeps all of its labels.
        seed: decides which. Nothing else does: not torch's global generator, nor ``per_class`` itself, so that the
            labels kept at 10 a class are among those kept at 20.
        name: of the data, for messages.

    Returns:
        The same examples; labels are int64 ``[N]`` from -1.

    Raises:
        ValueError: when ``per_class`` is negative.
        DataError: when labels are to be kept and the split has none.
    """
    if per_class < 0:
        raise ValueError(f"per_class: expected 0 or more, got {per_class}")
    kept = torch.full((len(split),), UNLABELED, dtype=torch.int64)
    if per_class:
        if split.labels is None:
            raise DataError(f"{name}: has no labels, so none can be kept ({per_class} a class were asked for)")
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
        shuffled = split.labels[order]
        for value in shuffled.unique():
            rows = order[shuffled == value][:per_class]
            kept[rows] = split.labels[rows].to(torch.int64)
    return replace(split, labels=kept)


def check_labels(labels: Tensor, *, num_classes: int | None, unlabeled: bool, name: str) -> None:
    """Check the labels ``[N]`` of examples.

    Args:
        labels: integers.
        num_classes: that the model tells apart; None where it does not say.
        unlabeled: whether ``UNLABELED`` may be among them.
        name: of the data, for messages.

    Raises:
        DataError: for a label out of range, or one that is missing where all are needed.
    """
    if labels.numel() == 0 or labels.is_floating_point():
        raise DataError(f"{name}: expected one integer label an example, got {labels.dtype} {list(labels.shape)}")
    missing = int((labels == UNLABELED).sum())
    if missing and not unlabeled:
        raise DataError(f"{name}: {missing} of {len(labels)} examples are unlabeled (-1); this model needs all labels")
    low, high = (int(bound) for bound in labels.aminmax())
    if low < (UNLABELED if unlabeled else 0) or (num_classes is not None and high >= num_classes):
        expected = "0 or more" if num_classes is None else f"from 0 to {num_classes - 1}, as model.num_classes says"
        raise DataError(f"{name}: expected labels {expected}, got {low} to {high}")


class LabeledExamples:
    """The labeled ones among the examples of batches, to draw from as often as is wanted.

    A random batch has too few of them: of 64 among 4,500 examples with 100 labels, one or two.

    Args:
        batches: with labels, some of which are ``UNLABELED``.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        labels = batches.labels
        self._rows = torch.empty(0, dtype=torch.int64) if labels is None else (labels != UNLABELED).nonzero().flatten()

    def __len__(self) -> int:
        return len(self._rows)

    def draw(self, count: int, noise: BatchNoise) -> tuple[Tensor, Tensor]:
        """Examples ``[count, *event]`` and their labels ``[count]``, drawn with replacement.

        Args:
            count: of this process's rows.
            noise: decides which.
        """
        like = torch.empty(0, device=self._rows.device if noise.generator is None else noise.generator.device)
        places = noise.integers((count,), len(self._rows), like)
        return self._batches.take(self._rows[places.to(self._rows.device)])
