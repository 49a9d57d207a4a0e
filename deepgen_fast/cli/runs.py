"""A run directory opened for use: its config, its model with trained weights, its data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from deepgen_fast.cli.errors import UsageError
from deepgen_fast.config import ConfigError
from deepgen_fast.data import DatasetSplits, LoaderBatches, Split, binarize
from deepgen_fast.example import Example, event_of, joined, with_event
from deepgen_fast.metrics.evaluation import takes_labels
from deepgen_fast.runs import LoadedRun, load_run, load_run_data
from deepgen_fast.runs.run import labels_of
from deepgen_fast.systems import RunConfig, system_named

_SPLITS = ("train", "validation", "test")
_BATCH_SIZE = 512


@dataclass
class Run:
    """A trained model and where it came from."""

    directory: Path
    loaded: LoadedRun

    @property
    def model(self) -> Any:
        return self.loaded.model

    @property
    def kind(self) -> str:
        """``"vae"`` or ``"gan"``."""
        return self.loaded.kind

    @property
    def of_sentences(self) -> bool:
        """Whether its examples are sentences."""
        return system_named(self.config.system).of_sentences

    @property
    def config(self) -> RunConfig:
        return self.loaded.config

    @cached_property
    def data(self) -> DatasetSplits:
        """The data of the run, loaded when first asked for."""
        return load_run_data(self.config)

    @cached_property
    def data_with_all_labels(self) -> DatasetSplits:
        """``data`` with the labels that training may not use, too: they measure, and teach nothing."""
        kept_back = system_named(self.config.system).semi_supervised
        return load_run_data(self.config, all_labels=True) if kept_back else self.data

    @property
    def figures(self) -> Path:
        """Where pictures of this run go unless told otherwise."""
        return self.directory / "figures"


def open_run(directory: Path, checkpoint: str = "best", encoding: bool = False) -> Run:
    """Read config and weights of a run directory; the model is in eval mode on the CPU.

    Args:
        directory: of the run.
        checkpoint: which one.
        encoding: whether the model must have an encoder, which a VAE has and a GAN has not.

    Raises:
        UsageError: the directory holds no run, or none of a model that serves.
        CheckpointError: it holds no checkpoint, or a damaged one.
    """
    try:
        run = Run(directory, load_run(directory, checkpoint))
    except ConfigError as error:
        raise UsageError(str(error)) from error
    if encoding and run.kind != "vae":
        raise UsageError(f"{directory}: a {run.config.system} has no encoder; this needs a VAE")
    return run


def split_named(data: DatasetSplits, name: str) -> Split:
    """One of the three splits.

    Raises:
        UsageError: an unknown name, or a split that the data does not have.
    """
    if name not in _SPLITS:
        raise UsageError(f"--split: expected one of {', '.join(_SPLITS)}, got {name!r}")
    split = getattr(data, name)
    if split is None:
        raise UsageError(f"--split: {data.name} was divided without a {name} part")
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
    labels = labels_of(system_named(run.config.system), split, run.data.name) if takes_labels(run.model) else None
    if split.images is not None:
        images = binarize(split.images, mode, torch.Generator().manual_seed(0))
        return images if labels is None else (images, labels)
    assert split.dataset is not None
    workers = run.config.data.num_workers
    batches = LoaderBatches(split.dataset, _BATCH_SIZE, shuffle=False, num_workers=workers, labels=labels)
    return BinarizedBatches(batches, mode)
