"""What `deepgen-fast train NAME` does: a run from flags, a config file, or both."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepgen_fast.cli.errors import UsageError
from deepgen_fast.cli.overrides import overrides

if TYPE_CHECKING:
    from deepgen_fast.data import DatasetSplits
    from deepgen_fast.systems import RunConfig
    from deepgen_fast.training import TrainingResult

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="TOML file with sections data, model, objective, trainer; flags override it. A run directory's "
        "config.toml repeats that run.",
        rich_help_panel="Run",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="Run directory: config.toml, metrics.jsonl, checkpoints, sample grids, TensorBoard files.",
        show_default="runs/SYSTEM-DATA-DATE-TIME",
        rich_help_panel="Run",
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        metavar="RUN",
        help="Resume a run (bitwise reproducible). May be combined with --epochs, a new total, and --checkpoint only.",
        rich_help_panel="Run",
    ),
]
FromCheckpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="NAME",
        help="Checkpoint to resume from, such as step-00001234, where the latest is damaged. Later ones are removed.",
        show_default="last",
        rich_help_panel="Run",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.FIELD=VALUE",
        help="Any other field of the config, such as `--set model.channels=[32,64]`; may be repeated.",
        rich_help_panel="Run",
    ),
]
ShowConfig = Annotated[
    bool,
    typer.Option(
        "--show-config", help="Print the whole config, each field explained; train nothing.", rich_help_panel="Run"
    ),
]


#: The flags that are of the run, not of its config.
RUN_FLAGS: dict[str, Any] = {
    "config": ConfigFile,
    "out": Out,
    "resume": Resume,
    "checkpoint": FromCheckpoint,
    "settings": Settings,
    "show_config": ShowConfig,
}


def train_run(
    system: str,
    given: dict[str, Any],
    config: Path | None,
    out: Path | None,
    resume: Path | None,
    checkpoint: str | None,
    settings: list[str] | None,
    show_config: bool,
) -> None:
    """What every `train NAME` does.

    Args:
        system: NAME.
        given: fields of the config by flag, None where the flag was not given.
        config, out, resume, checkpoint, settings, show_config: the flags of those names.
    """
    if resume is not None:
        _resume(resume, system, given, checkpoint, others=[config, out, settings or None, show_config or None])
        return
    if checkpoint is not None:
        raise UsageError("--checkpoint: says where to go on from, and there is no --resume")
    chosen = _config(system, config, overrides(given, settings or []))
    if show_config:
        from deepgen_fast.cli.config_text import annotated_toml

        print(annotated_toml(chosen))
        return
    from deepgen_fast.config import ConfigError
    from deepgen_fast.runs import load_run_data, train
    from deepgen_fast.training import RunDirectory, join_processes

    directory = out or default_directory(chosen)
    processes = join_processes(chosen.trainer.device)
    if processes.from_main(RunDirectory(directory).is_used):
        raise UsageError(f"--out: {directory} already holds a run: --resume it, or name another directory")
    splits = load_run_data(chosen)
    if processes.is_main:
        _announce(chosen, splits, directory)
    try:
        result = train(chosen, directory, splits=splits)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    _report(result, directory, system)


def _config(system: str, path: Path | None, overrides: dict[str, Any]) -> RunConfig:
    from deepgen_fast.config import ConfigError
    from deepgen_fast.systems import RunConfig

    name = overrides.get("data.name")
    if name is not None and Path(name).expanduser().exists():
        # The run can then be repeated from any working directory.
        overrides["data.name"] = str(Path(name).expanduser().resolve())
    try:
        config_class = RunConfig.for_system(system)
        config = config_class() if path is None else config_class.from_toml(path)
        if config.system != system:
            raise ConfigError(f"{path}: of another system: deepgen-fast train {config.system} --config {path}")
        return config.with_overrides(overrides)
    except ConfigError as error:
        raise UsageError(str(error).removeprefix("overrides: ")) from error


def default_directory(config: RunConfig) -> Path:
    """runs/SYSTEM-DATA-DATE-TIME."""
    return Path("runs") / f"{config.system}-{Path(config.data.name).stem or 'data'}-{datetime.now():%Y%m%d-%H%M%S}"


def _resume(directory: Path, system: str, given: dict[str, Any], checkpoint: str | None, others: list[Any]) -> None:
    epochs = given.pop("trainer.epochs")
    if any(value is not None for value in (*given.values(), *others)):
        raise UsageError("--resume takes the run's own config: it combines with --epochs and --checkpoint only")
    from deepgen_fast.config import ConfigError
    from deepgen_fast.runs import RunError, resume
    from deepgen_fast.systems import RunConfig
    from deepgen_fast.training import CheckpointError, RunDirectory

    try:
        if RunDirectory(directory).config_path.exists():
            found = RunConfig.from_toml(RunDirectory(directory).config_path).system
            if found != system:
                raise ConfigError(f"{directory}: of another system: deepgen-fast train {found} --resume {directory}")
        result = resume(directory, epochs, checkpoint=checkpoint or "last")
    except (ConfigError, CheckpointError, RunError) as error:
        raise UsageError(f"--resume: {error}") from error
    _report(result, directory, system)


def _announce(config: RunConfig, splits: DatasetSplits, directory: Path) -> None:
    parts = [
        f"{len(part)} {name}"
        for name, part in (("train", splits.train), ("validation", splits.validation), ("test", splits.test))
        if part is not None
    ]
    typer.echo(f"data   {splits.name}: {', '.join(parts)}; examples {list(splits.event_shape)}", err=True)
    typer.echo(f"run    {directory}", err=True)


def _report(result: TrainingResult, directory: Path, system: str) -> None:
    if result.run_directory is None:
        return  # another process reports
    done = f"{result.epochs} epochs, {result.steps} steps, {result.seconds:.1f} s"
    if result.best_validation_loss is not None:
        done += f"; best {result.monitor} {result.best_validation_loss:.2f} at epoch {result.best_epoch}"
    reason = {"completed": "done", "early_stopping": "stopped early: no improvement"}.get(result.reason, result.reason)
    typer.echo(f"{reason}: {done}")
    if result.reason == "interrupted":
        typer.echo(f"go on  deepgen-fast train {system} --resume {directory}")
        raise typer.Exit(130)
    typer.echo(f"next   deepgen-fast evaluate {directory}")
