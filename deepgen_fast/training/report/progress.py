"""What a person sees while a run trains: a bar with an ETA on a terminal, lines in a log, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TextIO

# Drawing costs milliseconds, an epoch of a small data set a few hundred.
_SECONDS_BETWEEN_DRAWS = 0.25
_SECONDS_BETWEEN_LINES = 2.0


class Summary(NamedTuple):
    """An epoch's record in a few words: for a line of a log, and shorter, for what stands beside a bar."""

    line: str
    bar: str


def summarize_vae(record: dict[str, Any]) -> Summary:
    """Loss and its two parts."""
    loss = f"loss {record['train_loss']:.2f}"
    best = "*" if record.get("best") else ""
    validation = f"  validation {record['validation_loss']:.2f}" if "validation_loss" in record else ""
    parts = f"(log p(x|z) {record['train_log_likelihood']:.2f}, KL {record['train_kl']:.2f})"
    line = f"{loss} {parts}{validation}{best}  {record['examples_per_second']:.0f} examples/s"
    return Summary(line, f"{loss}{validation}")


Summarize = Callable[[dict[str, Any]], Summary]


class Progress(Protocol):
    """A display of one run."""

    def start(self, step: int, total_steps: int, total_epochs: int) -> None: ...

    def advance(self, step: int, epoch: int) -> None: ...

    def epoch_ended(self, record: dict[str, Any]) -> None: ...

    def message(self, text: str) -> None: ...

    def close(self) -> None: ...


class Silent:
    """Shows nothing."""

    def start(self, step: int, total_steps: int, total_epochs: int) -> None:
        return

    def advance(self, step: int, epoch: int) -> None:
        return

    def epoch_ended(self, record: dict[str, Any]) -> None:
        return

    def message(self, text: str) -> None:
        return

    def close(self) -> None:
        return


class Lines(Silent):
    """A line for the first and the last epoch, and between them at most one every two seconds."""

    def __init__(self, stream: TextIO | None = None, summarize: Summarize = summarize_vae) -> None:
        self._stream = stream
        self._summarize = summarize
        self._last = -float("inf")
        self._started = 0.0
        self._first_step = self._total_steps = self._total_epochs = 0

    def start(self, step: int, total_steps: int, total_epochs: int) -> None:
        self._started = time.monotonic()
        self._first_step, self._total_steps, self._total_epochs = step, total_steps, total_epochs

    def epoch_ended(self, record: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES and record["epoch"] != self._total_epochs:
            return
        self._last = now
        done = record["step"] - self._first_step
        left = (self._total_steps - record["step"]) * (now - self._started) / max(done, 1)
        eta = f"  ETA {format_seconds(left)}" if left > 0 else ""
        self.message(f"epoch {record['epoch']}/{self._total_epochs}  {self._summarize(record).line}{eta}")

    def message(self, text: str) -> None:
        print(text, file=self._stream or sys.stderr, flush=True)


class Bar:
    """A rich progress bar of the run's steps, drawn a few times a second by the training loop itself."""

    def __init__(self, stream: TextIO | None = None, summarize: Summarize = summarize_vae) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=12),  # All of it fits into 80 columns.
            MofNCompleteColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[summary]}"),
            console=Console(file=stream) if stream is not None else Console(stderr=True),
            auto_refresh=False,
        )
        self._summarize = summarize
        self._task: Any = None
        self._last = 0.0

    def start(self, step: int, total_steps: int, total_epochs: int) -> None:
        self._task = self._bar.add_task(
            "train", total=total_steps, completed=step, epoch=1, epochs=total_epochs, summary=""
        )
        self._bar.start()

    def advance(self, step: int, epoch: int) -> None:
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_DRAWS:
            return
        self._last = now
        self._bar.update(self._task, completed=step, epoch=epoch, refresh=True)

    def epoch_ended(self, record: dict[str, Any]) -> None:
        self._bar.update(
            self._task, completed=record["step"], epoch=record["epoch"], summary=self._summarize(record).bar
        )

    def message(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        self._bar.refresh()
        self._bar.stop()


def format_seconds(seconds: float) -> str:
    """``h:mm:ss``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def build_progress(kind: str, summarize: Summarize = summarize_vae) -> Progress:
    """``"bar"``, ``"lines"``, ``"none"``, or ``"auto"``: a bar when standard error is a terminal, else lines.

    Raises:
        ValueError: for another kind.
    """
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "lines"
    if kind == "bar":
        return Bar(summarize=summarize)
    if kind == "lines":
        return Lines(summarize=summarize)
    if kind == "none":
        return Silent()
    raise ValueError(f"progress: expected 'auto', 'bar', 'lines' or 'none', got {kind!r}")
