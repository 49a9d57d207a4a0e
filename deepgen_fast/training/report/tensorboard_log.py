"""Numbers and pictures for TensorBoard."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

# Of an epoch's record: where it is, and what is no curve.
_NOT_CURVES = ("epoch", "step", "seconds", "best")
# What stands first in a field's name -> a group of TensorBoard's; others are of the run.
_GROUPS = ("train", "validation", "discriminator", "generator")
_NUMBERS = count()  # of the event files of this process


class TensorBoardLog:
    """An event file in ``directory``; TensorBoard is imported here, because importing it takes a second.

    Records are written by the caller's thread: ``SummaryWriter`` has a thread of its own write them, which answers a
    full disk with a traceback that nobody can catch. Here, training goes on without the file: its metrics and
    checkpoints are elsewhere, and say themselves when they cannot be written.

    Args:
        directory: for the files.
        warn: told, once, that the disk refuses; nothing more is written then.
        purge_step: events of this step and later, left by a run that this one resumes, are hidden.

    Raises:
        ImportError: when tensorboard is not installed.
    """

    def __init__(self, directory: Path, warn: Callable[[str], None], purge_step: int | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter
        from torch.utils.tensorboard import summary

        self._event: Any = Event
        self._summary: Any = summary
        self._warn = warn
        self._file: Any = None
        self._records: Any = None
        with self._warning():
            directory.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS)}"
            self._file = (directory / name).open("wb")
            self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        if purge_step is not None:
            self._write(step=purge_step, session_log=SessionLog(status=SessionLog.START))
        self._flush()

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Write an epoch's record at its step."""
        for name, value in record.items():
            if name not in _NOT_CURVES and isinstance(value, int | float):
                group, _, rest = name.partition("_")
                tag = f"{group}/{rest}" if group in _GROUPS else f"run/{name}"
                self._write(summary=self._summary.scalar(tag, value), step=record["step"])
        self._flush()

    def step(self, loss: float, step: int) -> None:
        """Write one step's loss."""
        self._write(summary=self._summary.scalar("step/loss", loss), step=step)

    def image(self, tag: str, grid: np.ndarray, step: int) -> None:
        """Write a uint8 picture, ``[H, W]`` or ``[H, W, 3]``."""
        formats = "HW" if grid.ndim == 2 else "HWC"
        self._write(summary=self._summary.image(tag, grid, dataformats=formats), step=step)

    def text(self, tag: str, text: str, step: int) -> None:
        """Write a text, line by line as it is."""
        self._write(summary=self._summary.text(tag, text.replace("\n", "  \n")), step=step)

    def close(self) -> None:
        """Write what is left and close the file."""
        with self._warning():
            if self._file is not None:
                self._file.close()

    def _write(self, **fields: Any) -> None:
        with self._warning():
            if self._records is not None:
                self._records.write(self._event(wall_time=time.time(), **fields).SerializeToString())

    def _flush(self) -> None:
        with self._warning():
            if self._file is not None:
                self._file.flush()

    @contextmanager
    def _warning(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            file, self._file, self._records = self._file, None, None
            self._warn(f"TensorBoard files are no longer written, training goes on: {error}")
            if file is not None:
                with suppress(OSError):
                    file.close()  # closes even where it cannot write what is left
