"""The checkpoints of a run on the disk."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from deepgen_fast.training.state.checkpoint import WRITING, Checkpoint, write_checkpoint

_NAME = re.compile(r"^(step|best)-(\d{8,})$")
_REMOVING = ".removing-"


def step_in_name(path: Path) -> int | None:
    """The step that the name of a checkpoint's directory tells; None for another name."""
    match = _NAME.match(path.name)
    return int(match[2]) if match else None


class CheckpointStore:
    """The checkpoints of a run: the latest few and the best.

    Args:
        directory: that holds them.
        keep: number of latest ones to keep.
    """

    def __init__(self, directory: Path, keep: int = 2) -> None:
        self.directory = directory
        self.keep = keep
        self._pending_best: Checkpoint | None = None

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write the latest checkpoint, and a held best one before it; then drop what is no longer kept."""
        self.write_best()
        path = self.directory / f"step-{checkpoint.state['step']:08d}"
        write_checkpoint(path, checkpoint)
        for old in self.named("step")[: -self.keep]:
            _remove(old)
        return path

    def hold_best(self, checkpoint: Checkpoint) -> None:
        """Keep the best weights in memory until the next ``save``.

        Early in training every epoch is the best one; writing each would cost more than the epoch. A crash loses
        nothing: the run resumes from before and meets the same best again.
        """
        self._pending_best = Checkpoint(checkpoint.model, checkpoint.state, checkpoint.ema).detached()

    def write_best(self) -> None:
        """Write the held best checkpoint, if there is one, and drop the one before it."""
        if self._pending_best is None:
            return
        path = self.directory / f"best-{self._pending_best.state['step']:08d}"
        write_checkpoint(path, self._pending_best)
        self._pending_best = None
        for old in self.named("best"):
            if old != path:
                _remove(old)

    def named(self, kind: str) -> list[Path]:
        """Complete checkpoints of a kind, oldest first."""
        if not self.directory.is_dir():
            return []
        found = [(match, path) for path in self.directory.iterdir() if (match := _NAME.match(path.name))]
        return [path for match, path in sorted(found, key=lambda item: int(item[0][2])) if match[1] == kind]

    def latest(self) -> Path | None:
        """The latest checkpoint to resume from, or None."""
        steps = self.named("step")
        return steps[-1] if steps else None

    def best(self) -> Path | None:
        """The best checkpoint by validation loss, or None."""
        found = self.named("best")
        return found[-1] if found else None

    def find(self, name: str | Path) -> Path | None:
        """The checkpoint that ``name`` says: ``"best"`` (the latest where there is none), ``"last"``, the name of one
        of these, or the path of any. None when there is no best or latest one.
        """
        if str(name) == "best":
            return self.best() or self.latest()
        if str(name) == "last":
            return self.latest()
        own = self.directory / Path(name).name
        return own if str(name) == own.name and own.exists() else Path(name)

    def discard_after(self, step: int) -> None:
        """Remove checkpoints of later steps, before a run goes on from an earlier one."""
        for kind in ("step", "best"):
            for path in self.named(kind):
                if (step_in_name(path) or 0) > step:
                    _remove(path)

    def remove_unfinished(self) -> None:
        """Remove what a crash left half written or half removed."""
        if self.directory.is_dir():
            for prefix in (WRITING, _REMOVING):
                for path in self.directory.glob(f"{prefix}*"):
                    _delete(path)


def _remove(path: Path) -> None:
    """Remove a checkpoint: renamed first, so that a directory of its name is complete however far this gets."""
    doomed = path.parent / f"{_REMOVING}{path.name}"
    _delete(doomed)
    try:
        os.rename(path, doomed)
    except OSError:
        return  # Another process reads it, on Windows; it goes with the next ones.
    _delete(doomed)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
