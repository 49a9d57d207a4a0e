"""Claims of a system, measured from several seeds."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.environment import environment

RESULTS = Path(__file__).parent / "results"
GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Claim:
    """What a system should show.

    Attributes:
        metric: its name among the measured numbers.
        title: in the table.
        bound: that the mean over the seeds must keep; None reports the number only.
        direction: whether the bound is the least or the most.
        digits: after the point.
    """

    metric: str
    title: str
    bound: float | None = None
    direction: Literal["at least", "at most"] = "at least"
    digits: int = 3

    def holds(self, mean: float) -> bool | None:
        """Whether the mean keeps the bound; None where there is none."""
        if self.bound is None:
            return None
        return mean >= self.bound if self.direction == "at least" else mean <= self.bound


@dataclass(frozen=True)
class Finding:
    """A claim and what was measured, one value a seed."""

    title: str
    values: list[float]
    mean: float
    spread: float
    bound: str | None
    holds: bool | None
    digits: int


@dataclass(frozen=True)
class Options:
    """Of one run: its seed, and the folder for pictures, which only the first seed draws."""

    seed: int
    pictures: Path | None


def accept(
    name: str, title: str, claims: Sequence[Claim], measure: Callable[[Options], dict[str, float]], *, command: str
) -> None:
    """Measure every seed, print, and write ``results/NAME.json``; pictures go to ``docs/gallery``.

    Args:
        name: of the module.
        title: of the system, with its source.
        claims: of the numbers that ``measure`` gives.
        measure: trains from one seed, everything included, and gives numbers by name.
        command: of the command line, that trains the system.
    """
    parser = argparse.ArgumentParser(prog=f"python -m reproductions.{name}", description=title)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-write", action="store_true", help="leave results and pictures as they are")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    GALLERY.mkdir(parents=True, exist_ok=True)
    measured: list[dict[str, float]] = []
    seconds = []
    for index, seed in enumerate(given.seeds):
        pictures = None if given.no_write or index else GALLERY
        started = time.monotonic()
        measured.append(measure(Options(seed, pictures)))
        seconds.append(round(time.monotonic() - started, 1))
        print(f"seed {seed}, {seconds[-1]:.0f} s: {measured[-1]}", flush=True)
    findings = [_finding(claim, [float(numbers[claim.metric]) for numbers in measured]) for claim in claims]
    for finding in findings:
        print(sentence(asdict(finding)))
    if not given.no_write:
        result: dict[str, Any] = {"title": title, "command": command, "seeds": list(given.seeds), "seconds": seconds}
        result |= {"findings": [asdict(finding) for finding in findings], "environment": environment(given.threads)}
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def _finding(claim: Claim, values: list[float]) -> Finding:
    mean = statistics.fmean(values)
    bound = None if claim.bound is None else f"{claim.direction} {claim.bound:g}"
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return Finding(claim.title, values, mean, spread, bound, claim.holds(mean), claim.digits)


def sentence(finding: dict[str, Any]) -> str:
    """``title: mean ± spread (expected at least 0.9: not met)`` of a finding as it is stored."""
    digits = finding["digits"]
    text = f"{finding['title']}: {finding['mean']:.{digits}f} ± {finding['spread']:.{digits}f}"
    if finding["bound"] is None:
        return text
    return f"{text} (expected {finding['bound']}: {'met' if finding['holds'] else '**not met**'})"
