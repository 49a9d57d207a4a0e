"""A run on the disk: its config, metrics, checkpoints, pictures and TensorBoard files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from deepgen_fast.trainers.checkpoint import CheckpointStore
from deepgen_fast.trainers.config import RunConfig


class RunDirectory:
    """Layout::

        config.toml       everything that decides the run
        metrics.jsonl     one line an epoch
        checkpoints/      see ``checkpoint.py``
        samples/          PNG grids
        tensorboard/

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

    def is_used(self) -> bool:
        """Whether a run has left metrics or checkpoints here."""
        return self.metrics_path.exists() or self.checkpoints.latest() is not None

    def prepare(self) -> None:
        """Make the directory and clear what a crash left half written."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.checkpoints.remove_unfinished()

    def write_config(self, config: RunConfig) -> None:
        """Write ``config.toml``, whole or not at all."""
        _replace(self.config_path, config.to_toml())

    def read_config(self) -> RunConfig:
        """The run's config.

        Raises:
            ConfigError: when it is missing or damaged.
        """
        return RunConfig.from_toml(self.config_path)

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add one epoch's line."""
        with self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every complete line; a last line that a crash cut short is left out."""
        if not self.metrics_path.exists():
            return []
        records = []
        for line in self.metrics_path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return records

    def keep_metrics_until(self, step: int) -> list[dict[str, Any]]:
        """Drop the epochs that ended after ``step``, which a resumed run writes again; return the rest."""
        kept = [record for record in self.read_metrics() if record["step"] <= step]
        if self.metrics_path.exists():
            _replace(self.metrics_path, "".join(json.dumps(record) + "\n" for record in kept))
        return kept


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.writing")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
