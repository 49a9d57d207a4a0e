"""The data of a run: loaded, checked, and made what its system is trained with."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from deepgen_fast.data import UNLABELED, DataError, DatasetSplits, Split, binarize, keep_labels, load_dataset
from deepgen_fast.data.checks import check_unit_range
from deepgen_fast.systems.registry import system_named
from deepgen_fast.systems.run_config import RunConfig
from deepgen_fast.systems.system import System
from deepgen_fast.training.state.seeds import derive_seed


def load_run_data(config: RunConfig, *, all_labels: bool = False) -> DatasetSplits:
    """The data of a run, loaded and checked.

    Validation and test images are binarized here, once and always in the same way, where the config says so;
    training images at each step, by the trainer. Of the training labels of a semi-supervised system, as many are kept
    as the config says; validation and test sets keep theirs, to measure by, where training has any.

    Args:
        config: of the run.
        all_labels: keep also those that training may not use, to measure by.

    Raises:
        DataError: for anything wrong with the data.
    """
    data = config.data
    splits = load_dataset(
        data.name,
        image_size=data.image_size,
        image_shape=data.image_shape,
        image_mode=data.image_mode,
        values=data.values,
        array_key=data.array_key,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        split_seed=data.split_seed,
        root=data.root,
        download=data.download,
        in_memory_limit=data.in_memory_limit,
        **data.model_dump(include={"min_words", "max_words", "min_count"}),  # of sentences
    )
    _check_kind(config, splits)
    system = system_named(config.system)
    if system.semi_supervised and not all_labels:
        splits = _with_few_labels(splits, data.labels_per_class or 0, data.split_seed)
    pixels = system.needs_pixels(config.model)
    for part in (splits.train, splits.validation, splits.test):
        if part is not None and part.images is not None and pixels is not None:
            check_unit_range(part.images, name=splits.name, who=pixels[0], otherwise=pixels[1])
    if data.binarize == "none":
        return splits
    validation, test = (_binary(part, data.binarize) for part in (splits.validation, splits.test))
    return replace(splits, validation=validation, test=test)


def _check_kind(config: RunConfig, splits: DatasetSplits) -> None:
    """Sentences for systems of sentences, of the words that the model knows; other data for others."""
    system = system_named(config.system)
    if system.of_sentences != (splits.vocabulary is not None):
        holds, takes = ("no sentences", "them") if system.of_sentences else ("sentences", "images")
        raise DataError(f"{splits.name}: holds {holds}, and {system.with_article} is trained on {takes}")
    known = dict(config.model).get("vocabulary")
    if splits.vocabulary is not None and known is not None and known != splits.vocabulary.text:
        raise DataError(
            f"{splits.name}: its words are not those of model.vocabulary, so it is not what the model was trained on: "
            f"another file, other settings of the section data, or for pydoc another version of Python"
        )


def _with_few_labels(splits: DatasetSplits, per_class: int, seed: int) -> DatasetSplits:
    train = keep_labels(splits.train, per_class, seed=seed, name=splits.name)
    validation, test = splits.validation, splits.test
    if not per_class:  # classes that were found without labels have no names to compare
        validation, test = (None if part is None else keep_labels(part, 0) for part in (validation, test))
    return replace(splits, train=train, validation=validation, test=test)


def _binary(split: Split | None, mode: str) -> Split | None:
    if split is None:
        return None
    if split.images is not None:
        return Split(binarize(split.images, mode, torch.Generator().manual_seed(0)), split.labels)
    assert split.dataset is not None
    return Split(None, split.labels, _BinaryExamples(split.dataset, mode))


def labels_of(system: System, split: Split | None, name: str) -> Tensor | None:
    """The labels ``[N]`` of a split for a system that is trained with them; None for others, and of no split. Where
    labels may be missing, those of a split without any are all ``UNLABELED``.

    Args:
        system: that trains on the split.
        split: of the data.
        name: the data's.

    Raises:
        DataError: when the split has none and the system takes them.
    """
    if split is None or not system.labeled:
        return None
    if split.labels is None:
        if system.semi_supervised:
            return torch.full((len(split),), UNLABELED)
        raise DataError(f"{name}: has no labels, which this system is trained with")
    return split.labels


def examples_of(split: Split) -> Tensor | Dataset[Tensor]:
    """The tensor of a split in memory, or its ``Dataset``."""
    if split.images is not None:
        return split.images
    assert split.dataset is not None
    return split.dataset


class _BinaryExamples(Dataset[Tensor]):
    """A Dataset made binary, each example always in the same way."""

    def __init__(self, dataset: Dataset[Tensor], mode: str) -> None:
        self.dataset = dataset
        self.mode = mode

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(0, "binarize", index))
        return binarize(self.dataset[index], self.mode, generator)
