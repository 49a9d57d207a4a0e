"""Examples of a run's splits, as its model is trained with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from deepgen_fast.data import DatasetSplits, LoaderBatches, Split, binarize
from deepgen_fast.example import Example, event_of, joined, with_event
from deepgen_fast.runs.data import labels_of
from deepgen_fast.runs.errors import RunError
from deepgen_fast.systems import system_named

if TYPE_CHECKING:
    from deepgen_fast.runs.run import Run

_SPLITS = ("train", "validation", "test")
_BATCH_SIZE = 512


def split_named(data: DatasetSplits, name: str) -> Split:
    """One of the three splits.

    Raises:
        RunError: an unknown name, or a split that the data does not have.
    """
    if name not in _SPLITS:
        raise RunError(f"expected one of {', '.join(_SPLITS)}, got {name!r}", "split")
    split = getattr(data, name)
    if split is None:
        raise RunError(f"{data.name} was divided without a {name} part", "split")
    return split


class BinarizedBatches:
    """Batches of data too large for memory, made binary by the same draws at every pass."""

    def __init__(self, batches: LoaderBatches, mode: str) -> None:
        self.batches = batches
        self.mode = mode

    def __iter__(self) -> Iterator[Example]:
        generator = torch.Generator().manual_seed(0)
        for batch in self.batches:
            yield with_event(batch, binarize(event_of(batch), self.mode, generator))


def split_examples(run: Run, name: str) -> Example | BinarizedBatches:
    """Examples of a split, binary where the run made them so: `[N, *event]`, or batches of large data; with labels
    beside them where a VAE takes them.

    Training examples, which a run draws anew at every visit, are drawn once.
    """
    return _examples(run, name, split_named(run.data, name))


def some_examples(run: Run, name: str, count: int) -> Example:
    """At most count examples `[n, *event]`, at even distances: data often come sorted by class; the pair of them and
    their labels where a VAE takes them."""
    split = split_named(run.data, name)
    if count < len(split):
        split = split.subset(torch.arange(count) * len(split) // count)
    examples = _examples(run, name, split)
    return joined(list(examples)) if isinstance(examples, BinarizedBatches) else examples


def _examples(run: Run, name: str, split: Split) -> Example | BinarizedBatches:
    # Held-out splits come binary from load_run_data.
    mode = run.config.data.binarize if name == "train" else "none"
    labels = labels_of(system_named(run.config.system), split, run.data.name) if run.model.takes_labels else None
    if split.images is not None:
        images = binarize(split.images, mode, torch.Generator().manual_seed(0))
        return images if labels is None else (images, labels)
    assert split.dataset is not None
    workers = run.config.data.num_workers
    batches = LoaderBatches(split.dataset, _BATCH_SIZE, shuffle=False, num_workers=workers, labels=labels)
    return BinarizedBatches(batches, mode)
