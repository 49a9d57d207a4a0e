"""Training a run, and going on with one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from deepgen_fast.data import DatasetSplits
from deepgen_fast.runs.data import examples_of, labels_of, load_run_data
from deepgen_fast.runs.stored import build_model, read_config
from deepgen_fast.systems.registry import system_named
from deepgen_fast.systems.run_config import RunConfig
from deepgen_fast.training.callback import Callback
from deepgen_fast.training.errors import CheckpointError
from deepgen_fast.training.machine.devices import resolve_device
from deepgen_fast.training.state.position import TrainingResult
from deepgen_fast.training.state.run_directory import RunDirectory
from deepgen_fast.training.state.seeds import derive_seed


def train(
    config: RunConfig,
    run_directory: str | Path | None = None,
    *,
    splits: DatasetSplits | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainingResult:
    """Do the run that ``config`` describes.

    Args:
        config: everything that decides the run.
        run_directory: where to write; None writes nothing.
        splits: the data of ``load_run_data(config)``, when the caller has it already.
        callbacks: called as the run goes; see ``deepgen_fast.training.Callback``.

    Raises:
        DataError: for anything wrong with the data, before training starts.
        FileExistsError: when the directory already holds a run.
        NonFiniteLossError, CheckpointError, ConfigError: see ``Trainer.fit``.
    """
    return _run(config, run_directory, splits, callbacks, resume_from=None)


def resume(
    run_directory: str | Path,
    epochs: int | None = None,
    *,
    checkpoint: str | Path = "last",
    splits: DatasetSplits | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainingResult:
    """Go on with a run from its latest checkpoint, bit for bit as if it had not stopped. Nothing is downloaded: the run
    has had its data, and its config may be a stranger's.

    Args:
        run_directory: of the run; its ``config.toml`` says all the rest.
        epochs: a new total, to lengthen a run; written to ``config.toml``.
        checkpoint: ``"last"``, or the name or path of an earlier one, when the latest is damaged; later ones are then
            removed.
        splits: the data of ``load_run_data(config)``, when the caller has it already.
        callbacks: called as the run goes; see ``deepgen_fast.training.Callback``.

    Raises:
        RunError: when the directory holds no run.
        ConfigError: when its ``config.toml`` is damaged.
        CheckpointError: when there is no checkpoint, or it cannot be read.
        RunInUseError: when another process trains in the directory.
        DataError, NonFiniteLossError: as ``train``.
    """
    config = read_config(Path(run_directory))
    if epochs is not None:
        config = config.with_overrides({"trainer.epochs": epochs})
    found = RunDirectory(run_directory).checkpoints.find(checkpoint)
    if found is None:
        raise CheckpointError(f"{run_directory}: no checkpoint to resume from")
    # The latest one is looked for again when no other process can write one.
    return _run(config, run_directory, splits, callbacks, resume_from="last" if str(checkpoint) == "last" else found)


def _run(
    config: RunConfig,
    run_directory: str | Path | None,
    splits: DatasetSplits | None,
    callbacks: Sequence[Callback],
    resume_from: str | Path | None,
) -> TrainingResult:
    system = system_named(config.system)
    device = resolve_device(config.trainer.device)
    data = load_run_data(config) if splits is None else splits
    if data.vocabulary is not None:
        config = config.with_overrides({"model.vocabulary": data.vocabulary.text})
    # Seeded apart from the caller's generators, which stay as they are.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(config.trainer.seed, "weights"))
        model: Any = build_model(config, data.event_shape)
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
        callbacks=callbacks,
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
