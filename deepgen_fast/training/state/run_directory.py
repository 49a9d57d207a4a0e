"""A run on the disk: its config, metrics, checkpoints, pictures and TensorBoard files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from deepgen_fast.training.errors import CheckpointError
from deepgen_fast.training.state.checkpoint_store import CheckpointStore
from deepgen_fast.training.state.run_lock import RunLock


class RunDirectory:
    """Layout::

        config.toml       everything that decides the run
        metrics.jsonl     one line an epoch
        checkpoints/      see ``checkpoint.py``
        samples/          PNG grids
        tensorboard/
        .lock             held by the process that trains

    Args:
        path: of the directory; made when missing.
        keep_checkpoints: latest checkpoints to keep.
    """

    def __init__(self, path: str | Path, keep_checkpoints: int = 2) -> None:
        self.path = Path(path)
        self.config_path = self.path / "config.toml"
        self.metrics_path = self.path / "metrics.jsonl"
        self.samples_path = self.path / "samples"
        self.tensorboard_path = self.path / "tensorboard"
        self.checkpoints = CheckpointStore(self.path / "checkpoints", keep_checkpoints)
        self.lock = RunLock(self.path)

    def is_used(self) -> bool:
        """Whether a run has left metrics or checkpoints here."""
        return self.metrics_path.exists() or self.checkpoints.latest() is not None

    def prepare(self) -> None:
        """Make the directory and clear what a crash left half written."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.checkpoints.remove_unfinished()

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add one epoch's line."""
        with naming(self.metrics_path), self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every complete line; a last line that a crash cut short is left out.

        Raises:
            CheckpointError: when another line is not an epoch's record.
        """
        if not self.metrics_path.exists():
            return []
        records = []
        lines = self.metrics_path.read_bytes().splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                if not isinstance(record, dict) or type(record.get("step")) is not int:
                    raise ValueError("expected an object with an integer step")
            except (ValueError, RecursionError) as error:
                if number == len(lines):
                    break
                raise CheckpointError(
                    f"{self.metrics_path}: line {number} is not an epoch's record ({error}): mend or delete it"
                ) from error
            records.append(record)
        return records

    def keep_metrics_until(self, step: int) -> list[dict[str, Any]]:
        """Drop the epochs that ended after ``step``, which a resumed run writes again; return the rest."""
        kept = [record for record in self.read_metrics() if record["step"] <= step]
        if self.metrics_path.exists():
            replace_text(self.metrics_path, "".join(json.dumps(record) + "\n" for record in kept))
        return kept


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within this, an error of the file system, such as a full disk, names ``path`` where it names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.writing")
    try:
        with naming(path), temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
