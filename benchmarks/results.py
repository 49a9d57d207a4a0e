"""What a report holds, as it is written to results.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel


class Spread(BaseModel):
    """Median and 20/80 % of repeated timings, in seconds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        low, median, high = (float(q) for q in np.quantile(seconds, (0.2, 0.5, 0.8)))
        return cls(median=median, low=low, high=high)


class CandidateResult(BaseModel):
    """Timings by phase, or why there are none."""

    seconds: dict[str, Spread] = {}
    peak_bytes: int | None = None
    error: str | None = None


class OpResult(BaseModel):
    """A case: every candidate, and the floors of each phase in seconds (bandwidth, arithmetic, call)."""

    op: str
    variant: str
    shape: tuple[int, int]
    target: float
    candidates: dict[str, CandidateResult]
    floors: dict[str, dict[str, float]] = {}

    def better_of_others(self, phase: str) -> float | None:
        """Median seconds of the faster of eager and torch.compile."""
        others = (
            candidate.seconds[phase].median
            for name, candidate in self.candidates.items()
            if name != "deepgen_fast" and candidate.seconds
        )
        return min(others, default=None)

    def speedup(self, phase: str = "both") -> float | None:
        """How many times faster than the better of the others; None where either was not timed."""
        ours, best = self.candidates["deepgen_fast"].seconds, self.better_of_others(phase)
        return best / ours[phase].median if ours and best is not None else None

    def binds(self, phase: str = "both") -> str:
        """The largest of the floors: what a missed target runs into."""
        floors = self.floors.get(phase, {})
        return max(floors, key=lambda name: floors[name]) if floors else ""


class EpochResult(BaseModel):
    """A candidate's epoch of training, or why there is none."""

    candidate: str
    precision: str
    validation: bool
    seconds: Spread | None = None
    peak_bytes: int | None = None
    skipped: str | None = None


class ParityResult(BaseModel):
    """Test ELBO in nats of one candidate, a value for every seed."""

    candidate: str
    seeds: list[int] = []
    elbos: list[float] = []
    skipped: str | None = None


class Report(BaseModel):
    """Everything measured, with the machine it was measured on."""

    environment: dict[str, str] = {}
    ops: list[OpResult] = []
    epochs: list[EpochResult] = []
    epoch_floors: dict[str, float] = {}
    parity: list[ParityResult] = []
    parity_epochs: int = 0

    @classmethod
    def read(cls, path: Path) -> Report:
        """The report at ``path``, or an empty one."""
        return cls.model_validate_json(path.read_text()) if path.exists() else cls()

    def write(self, path: Path) -> None:
        path.write_text(self.model_dump_json(indent=1) + "\n")
