"""Whole runs from a config: train, resume, load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from deepgen_fast.data import UNLABELLED, DataError, DatasetSplits, Split, binarize, keep_labels, load_dataset
from deepgen_fast.data.checks import check_unit_range
from deepgen_fast.trainers.checkpoint import CheckpointError, CheckpointStore, read_checkpoint
from deepgen_fast.trainers.config import ConfigError, RunConfig
from deepgen_fast.trainers.devices import resolve_device
from deepgen_fast.trainers.distributed import join_processes
from deepgen_fast.trainers.position import TrainingResult
from deepgen_fast.trainers.run_directory import RunDirectory
from deepgen_fast.trainers.seeds import derive_seed
from deepgen_fast.trainers.systems import System, system_named


def train(
    config: RunConfig, run_directory: str | Path | None = None, *, splits: DatasetSplits | None = None
) -> TrainingResult:
    """Do the run that ``config`` describes.

    Args:
        config: everything that decides the run.
        run_directory: where to write; None writes nothing.
        splits: the data of ``load_run_data(config)``, when the caller has it already.

    Raises:
        DataError: for anything wrong with the data, before training starts.
        FileExistsError: when the directory already holds a run.
        NonFiniteLossError, CheckpointError, ConfigError: see ``Trainer.fit``.
    """
    return _run(config, run_directory, splits, resume_from=None)


def resume(
    run_directory: str | Path, epochs: int | None = None, *, splits: DatasetSplits | None = None
) -> TrainingResult:
    """Go on with a run from its latest checkpoint, bit for bit as if it had not stopped.

    Args:
        run_directory: of the run; its ``config.toml`` says all the rest.
        epochs: a new total, to lengthen a run; written to ``config.toml``.
        splits: the data of ``load_run_data(config)``, when the caller has it already.

    Raises:
        ConfigError: when the directory holds no ``config.toml``, or a damaged one.
        CheckpointError: when there is no checkpoint, or it cannot be read.
        DataError, NonFiniteLossError: as ``train``.
    """
    config = _read_config(Path(run_directory))
    if epochs is not None:
        config = config.with_overrides({"trainer.epochs": epochs})
    latest = CheckpointStore(Path(run_directory) / "checkpoints").latest()
    if latest is None:
        raise CheckpointError(f"{run_directory}: no checkpoint to resume from")
    if epochs is not None and join_processes(config.trainer.device).is_main:
        RunDirectory(run_directory).write_config(config)
    return _run(config, run_directory, splits, resume_from=latest)


def _run(
    config: RunConfig, run_directory: str | Path | None, splits: DatasetSplits | None, resume_from: Path | None
) -> TrainingResult:
    system = system_named(config.system)
    device = resolve_device(config.trainer.device)
    data = load_run_data(config) if splits is None else splits
    if data.vocabulary is not None:
        config = config.with_overrides({"model.vocabulary": data.vocabulary.text})
    # Seeded apart from the caller's generators, which stay as they are.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(config.trainer.seed, "weights"))
        model: Any = system.build_model(config.model, data.event_shape)
    resolved = config.with_overrides({"model.event_shape": model.event_shape})
    objective = system.build_objective(config.objective)
    build: Any = system.trainer
    trainer = build(model, objective, run_directory=run_directory, run_config=resolved)
    return trainer.fit(
        examples_of(data.train),
        None if data.validation is None else examples_of(data.validation),
        labels=labels_of(system, data.train, data.name),
        validation_labels=labels_of(system, data.validation, data.name),
        resume_from=resume_from,
    )


def labels_of(system: System, split: Split | None, name: str) -> Tensor | None:
    """The labels ``[N]`` of a split for a system that is trained with them; None for others, and of no split. Where
    labels may be missing, those of a split without any are all ``UNLABELLED``.

    Args:
        system: that trains on the split.
        split: of the data.
        name: the data's.

    Raises:
        DataError: when the split has none and the system takes them.
    """
    if split is None or not system.labelled:
        return None
    if split.labels is None:
        if system.semi_supervised:
            return torch.full((len(split),), UNLABELLED)
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
        raise DataError(f"{splits.name}: holds {holds}, and a {system.title} is trained on {takes}")
    known = getattr(config.model, "vocabulary", None)
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


@dataclass(frozen=True)
class LoadedRun:
    """A trained model and where it came from; ``epoch`` and ``step`` count what it was trained for."""

    model: Any
    config: RunConfig
    step: int
    epoch: int
    checkpoint: Path

    @property
    def kind(self) -> str:
        """What the model is: ``"vae"``, ``"gan"``; see ``Trainer.kind``."""
        return system_named(self.config.system).trainer.kind


def load_run(
    run_directory: str | Path, checkpoint: str | Path = "best", weights: str = "auto", device: str = "cpu"
) -> LoadedRun:
    """Rebuild a run's model, in eval mode.

    Args:
        run_directory: of the run.
        checkpoint: ``"best"`` by validation loss (the latest, where there was no validation), ``"last"``, or
            the path of one.
        weights: ``"auto"`` takes the averaged weights where the run kept them (validation and the choice of
            the best used these); ``"ema"`` insists on them; ``"raw"`` takes the optimiser's own.
        device: where the model goes; ``"auto"`` takes a GPU where there is one.

    Raises:
        ConfigError: when the directory holds no ``config.toml``, or a damaged one.
        CheckpointError: when there is no such checkpoint, it is damaged, or holds no averaged weights.
        ValueError: for unknown ``weights`` or device.
    """
    if weights not in ("auto", "raw", "ema"):
        raise ValueError(f"weights: expected 'auto', 'raw' or 'ema', got {weights!r}")
    directory = Path(run_directory)
    config = _read_config(directory)
    store = CheckpointStore(directory / "checkpoints")
    if str(checkpoint) == "best":
        path = store.best() or store.latest()
    else:
        path = store.latest() if str(checkpoint) == "last" else Path(checkpoint)
    if path is None:
        raise CheckpointError(f"{directory}: no checkpoint; the run may have stopped in its first epoch")
    stored = read_checkpoint(path)
    if weights == "ema" and stored.ema is None:
        raise CheckpointError(f"{path}: holds no averaged weights; set trainer.ema_decay to keep them")
    state = dict(stored.model)
    if weights != "raw" and stored.ema is not None:
        state.update(stored.ema)
    model: Any = system_named(config.system).build_model(config.model, None)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: does not fit the model of config.toml: {error}") from error
    return LoadedRun(model.to(resolve_device(device)).eval(), config, stored.state["step"], stored.state["epoch"], path)


def _read_config(directory: Path) -> RunConfig:
    if not directory.is_dir():
        raise ConfigError(f"{directory}: no such run directory")
    if not (directory / "config.toml").exists():
        advice = (
            "its model was built in code: build it again and load checkpoints/*/model.safetensors"
            if (directory / "trainer.toml").exists()
            else "not a run directory"
        )
        raise ConfigError(f"{directory}: no config.toml: {advice}")
    return RunDirectory(directory).read_config()
