"""What a run directory holds, read back: its config, and its model with trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepgen_fast.config import ConfigError
from deepgen_fast.runs.errors import RunError
from deepgen_fast.systems.registry import system_named
from deepgen_fast.systems.run_config import RunConfig
from deepgen_fast.training.errors import CheckpointError, first_line
from deepgen_fast.training.state.checkpoint import Checkpoint, read_checkpoint
from deepgen_fast.training.state.checkpoint_files import CheckpointLayout, specs_of
from deepgen_fast.training.state.checkpoint_store import CheckpointStore
from deepgen_fast.training.state.position import TrainState, read_state
from deepgen_fast.training.state.run_directory import RunDirectory

WEIGHTS = ("auto", "raw", "ema")


def read_config(directory: Path) -> RunConfig:
    """The config of a run.

    Raises:
        RunError: when the directory holds none.
        ConfigError: when it is damaged.
    """
    if not directory.is_dir():
        raise RunError(f"{directory}: no such run directory")
    if not (directory / "config.toml").exists():
        advice = (
            "its model was built in code: build it again and load checkpoints/*/model.safetensors"
            if (directory / "trainer.toml").exists()
            else "not a run directory"
        )
        raise RunError(f"{directory}: no config.toml: {advice}")
    # What the run was to download it has; and a directory may come from a stranger.
    return RunConfig.from_toml(RunDirectory(directory).config_path).with_overrides({"data.download": False})


def build_model(config: RunConfig, event_shape: tuple[int, ...] | None) -> Any:
    """The model of a config, with fresh weights.

    Raises:
        ConfigError: when there is no memory for sizes such as its own.
    """
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


def read_model(
    directory: Path, config: RunConfig, checkpoint: str | Path, weights: str
) -> tuple[Any, TrainState, Path]:
    """The model with the weights of a checkpoint, what it was trained for, and the checkpoint's path.

    Raises:
        CheckpointError: when there is no such checkpoint, it is damaged, or holds no averaged weights.
        RunError: for unknown ``weights``.
    """
    if weights not in WEIGHTS:
        raise RunError(f"expected 'auto', 'raw' or 'ema', got {weights!r}", "weights")
    store = RunDirectory(directory).checkpoints
    if store.find(checkpoint) is None:
        raise CheckpointError(f"{directory}: no checkpoint; the run may have stopped in its first epoch")
    averaged = config.trainer.ema_decay is not None
    model = build_model(config, None)
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
    return model, state, path


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
                f"{whole.name}; checkpoint in runs.open())"
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
