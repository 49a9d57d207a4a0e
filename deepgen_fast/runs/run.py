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
from deepgen_fast.training.state.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from deepgen_fast.training.state.checkpoint_files import CheckpointLayout, specs_of
from deepgen_fast.training.state.checkpoint_store import CheckpointStore
from deepgen_fast.config.sections import ConfigError
from deepgen_fast.systems.run_config import RunConfig
from deepgen_fast.training.machine.devices import resolve_device
from deepgen_fast.training.errors import first_line
from deepgen_fast.training.state.position import TrainState, TrainingResult, read_state
from deepgen_fast.training.state.run_directory import RunDirectory
from deepgen_fast.training.state.seeds import derive_seed
from deepgen_fast.systems.registry import System, system_named


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
    run_directory: str | Path,
    epochs: int | None = None,
    *,
    checkpoint: str | Path = "last",
    splits: DatasetSplits | None = None,
) -> TrainingResult:
    """Go on with a run from its latest checkpoint, bit for bit as if it had not stopped. Nothing is downloaded: the run
    has had its data, and its config may be a stranger's.

    Args:
        run_directory: of the run; its ``config.toml`` says all the rest.
        epochs: a new total, to lengthen a run; written to ``config.toml``.
        checkpoint: ``"last"``, or the name or path of an earlier one, when the latest is damaged; later ones are then
            removed.
        splits: the data of ``load_run_data(config)``, when the caller has it already.

    Raises:
        ConfigError: when the directory holds no ``config.toml``, or a damaged one.
        CheckpointError: when there is no checkpoint, or it cannot be read.
        RunInUseError: when another process trains in the directory.
        DataError, NonFiniteLossError: as ``train``.
    """
    config = _read_config(Path(run_directory))
    if epochs is not None:
        config = config.with_overrides({"trainer.epochs": epochs})
    found = RunDirectory(run_directory).checkpoints.find(checkpoint)
    if found is None:
        raise CheckpointError(f"{run_directory}: no checkpoint to resume from")
    # The latest one is looked for again when no other process can write one.
    return _run(config, run_directory, splits, resume_from="last" if str(checkpoint) == "last" else found)


def _run(
    config: RunConfig, run_directory: str | Path | None, splits: DatasetSplits | None, resume_from: str | Path | None
) -> TrainingResult:
    system = system_named(config.system)
    device = resolve_device(config.trainer.device)
    data = load_run_data(config) if splits is None else splits
    if data.vocabulary is not None:
        config = config.with_overrides({"model.vocabulary": data.vocabulary.text})
    # Seeded apart from the caller's generators, which stay as they are.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(config.trainer.seed, "weights"))
        model: Any = _build_model(config, data.event_shape)
    resolved = config.with_overrides({"model.event_shape": model.event_shape})
    objective = system.build_objective(config.objective)
    build: Any = system.trainer
    options = {"binarize": resolved.data.binarize} if system.binarizes else {}
    trainer = build(
        model,
        objective,
        resolved.trainer,
        run_directory=run_directory,
        config_text=lambda settings: resolved.model_copy(update={"trainer": settings}).to_toml(),
        **options,
    )
    return trainer.fit(
        examples_of(data.train),
        None if data.validation is None else examples_of(data.validation),
        labels=labels_of(system, data.train, data.name),
        validation_labels=labels_of(system, data.validation, data.name),
        num_workers=resolved.data.num_workers,
        resume_from=resume_from,
    )


def _build_model(config: RunConfig, event_shape: tuple[int, ...] | None) -> Any:
    try:
        return system_named(config.system).build_model(config.model, event_shape)
    except (RuntimeError, MemoryError, OverflowError) as error:  # torch has no memory for such sizes, or no number
        sizes = ", ".join(
            f"{name}={value!r}"
            for name, value in config.model.model_dump().items()
            if isinstance(value, int | tuple) and not isinstance(value, bool)
        )
        reason = first_line(error)
        raise ConfigError(f"model: cannot be built with {sizes}: smaller ones are needed: {reason}") from error


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
    store = RunDirectory(directory).checkpoints
    if store.find(checkpoint) is None:
        raise CheckpointError(f"{directory}: no checkpoint; the run may have stopped in its first epoch")
    averaged = config.trainer.ema_decay is not None
    model = _build_model(config, None)
    layout = CheckpointLayout(
        specs_of(model.state_dict()),
        specs_of(system_named(config.system).trainer.averaged_tensors(model)) if averaged else None,
    )
    path, stored, state = _read_stored(store, checkpoint, layout)
    if weights == "ema" and stored.ema is None:
        raise CheckpointError(f"{path}: holds no averaged weights; set trainer.ema_decay to keep them")
    tensors = dict(stored.model)
    if weights != "raw" and stored.ema is not None:
        tensors.update(stored.ema)
    model.load_state_dict(tensors)
    return LoadedRun(model.to(resolve_device(device)).eval(), config, state.step, state.epoch, path)


def _read_stored(
    store: CheckpointStore, name: str | Path, layout: CheckpointLayout
) -> tuple[Path, Checkpoint, TrainState]:
    """The checkpoint of that name, which there is. A process that trains may replace it in the meantime."""
    while True:
        path = store.find(name)
        assert path is not None
        try:
            return path, *_read_whole(path, layout)
        except CheckpointError as error:
            if store.find(name) not in (path, None):
                continue
            whole = next((other for other in reversed(store.named("step")) if _is_whole(other, layout)), None)
            advice = (
                ""
                if whole is None
                else f". The newest whole checkpoint is {whole}: name it to use it (--checkpoint "
                f"{whole.name}; checkpoint in load_run())"
            )
            raise CheckpointError(f"{error}{advice}") from error


def _read_whole(path: Path, layout: CheckpointLayout) -> tuple[Checkpoint, TrainState]:
    checkpoint = read_checkpoint(path, layout)
    return checkpoint, read_state(checkpoint.state, path)


def _is_whole(path: Path, layout: CheckpointLayout) -> bool:
    try:
        _read_whole(path, layout)
    except CheckpointError:
        return False
    return True


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
    # What the run was to download it has; and a directory may come from a stranger.
    return RunConfig.from_toml(RunDirectory(directory).config_path).with_overrides({"data.download": False})
