"""Training, validation and test sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from deepgen_fast.data.checks import DataError
from deepgen_fast.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Split:
    """One set of examples.

    Attributes:
        images: float32 ``[N, *event]``, of sentences int64 ``[N, T]``; None for data too large for memory.
        labels: int64 ``[N]``, or None.
        dataset: what yields single examples ``[*event]`` by index, for data too large for memory.
    """

    images: Tensor | None
    labels: Tensor | None = None
    dataset: Dataset[Any] | None = None

    def __post_init__(self) -> None:
        if (self.images is None) == (self.dataset is None):
            raise ValueError("Split: expected exactly one of images and dataset")

    def __len__(self) -> int:
        return len(self.images) if self.images is not None else len(self.dataset)  # type: ignore[arg-type]

    @property
    def event_shape(self) -> tuple[int, ...]:
        example = self.images[0] if self.images is not None else self.dataset[0]  # type: ignore[index]
        return tuple(example.shape)

    def subset(self, indices: Tensor) -> Split:
        """The examples at ``indices [n]``, in that order."""
        labels = None if self.labels is None else self.labels[indices]
        if self.images is not None:
            return Split(self.images[indices], labels)
        assert self.dataset is not None
        return Split(None, labels, Subset(self.dataset, indices.tolist()))


@dataclass(frozen=True)
class DatasetSplits:
    """A data set by name, in up to three disjoint parts; ``vocabulary`` says what the numbers of sentences mean."""

    name: str
    train: Split
    validation: Split | None = None
    test: Split | None = None
    vocabulary: Vocabulary | None = None

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.train.event_shape


def split_indices(
    count: int, fractions: Sequence[float], seed: int, labels: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Disjoint index sets of the given fractions, and the rest first.

    With labels, each class is divided by itself, so that every part has the classes in the data's
    proportions. The division depends on ``count``, ``fractions``, ``seed`` and ``labels`` alone, never on
    torch's global generator.

    Args:
        count: number of examples.
        fractions: size of each part after the first as a fraction of the whole; a positive fraction gives at
            least one example.
        seed: of the shuffle.
        labels: ``[count]``, or None.

    Returns:
        ``(rest, part_1, part_2, ...)``: int64 index tensors, each in rising order.

    Raises:
        ValueError: for a fraction outside [0, 1), or fractions that leave nothing for the first part.
    """
    if any(not 0.0 <= fraction < 1.0 for fraction in fractions):
        raise ValueError(f"fractions: expected numbers in [0, 1), got {list(fractions)}")
    generator = torch.Generator().manual_seed(seed)
    # Shuffled, then grouped by class with a stable sort: each class stands in random order. Taking examples
    # at even distances gives each part its share of each class, to one example.
    order = torch.randperm(count, generator=generator)
    if labels is not None:
        order = order[torch.sort(labels[order], stable=True).indices]
    parts: list[Tensor] = []
    free = torch.ones(count, dtype=torch.bool)
    for fraction in fractions:
        size = max(1, round(count * fraction)) if fraction > 0 else 0
        available = order[free[order]]
        if size >= len(available):
            raise ValueError(f"fractions: {list(fractions)} of {count} examples leave none to train on")
        positions = ((torch.arange(size, dtype=torch.float64) + 0.5) * (len(available) / max(size, 1))).long()
        chosen = available[positions]
        free[chosen] = False
        parts.append(chosen.sort().values)
    return (free.nonzero().flatten(), *parts)


def split_whole(
    name: str, whole: Split, *, validation_fraction: float, test_fraction: float, split_seed: int
) -> DatasetSplits:
    """Divide one set into three.

    Raises:
        DataError: when there are too few examples for the fractions.
    """
    try:
        train, validation, test = split_indices(
            len(whole), (validation_fraction, test_fraction), split_seed, whole.labels
        )
    except ValueError as error:
        raise DataError(f"{name}: {error}") from error
    return DatasetSplits(
        name,
        whole.subset(train),
        whole.subset(validation) if len(validation) else None,
        whole.subset(test) if len(test) else None,
    )


def with_validation(splits: DatasetSplits, *, validation_fraction: float, split_seed: int) -> DatasetSplits:
    """Take a validation set out of the training set of data that comes with a test set of its own.

    Raises:
        DataError: when there are too few examples for the fraction.
    """
    if splits.validation is not None or validation_fraction == 0.0:
        return splits
    divided = split_whole(
        splits.name, splits.train, validation_fraction=validation_fraction, test_fraction=0.0, split_seed=split_seed
    )
    return DatasetSplits(splits.name, divided.train, divided.validation, splits.test)
