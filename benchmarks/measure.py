"""Times the candidates of a case in turns, each in a process of its own.

A process a candidate gives each the allocator that its own steps leave behind, and no other's; turns give a change
of the machine's mood to all alike.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import torch

from benchmarks.candidates import CANDIDATES, WrongResultError, build, check, timed_step
from benchmarks.cases import Case
from benchmarks.floors import floors
from benchmarks.memory import peak_bytes
from benchmarks.results import CandidateResult, OpResult, Spread

_SPAWN = multiprocessing.get_context("spawn")
_SMALLEST = (1, 8)  # a shape at which nothing but the call itself takes time
_SETTLE = 0.1  # seconds at the start of a turn that do not count: threads still spin, freed memory comes back cold


@dataclass(frozen=True)
class Settings:
    """How to measure: turns of each candidate and seconds a turn."""

    threads: int = 2
    turns: int = 9
    seconds: float = 0.15

    @classmethod
    def quick(cls, threads: int) -> Settings:
        """Enough to see that everything runs, not to believe a figure."""
        return cls(threads, turns=2, seconds=0.02)


def _turn(function: Any, work: Any, settings: Settings) -> list[tuple[float, float]]:
    settled = time.perf_counter() + _SETTLE
    timed_step(function, work)
    while time.perf_counter() < settled:
        timed_step(function, work)
    steps: list[tuple[float, float]] = []
    end = time.perf_counter() + settings.seconds
    while time.perf_counter() < end or len(steps) < 3:
        steps.append(timed_step(function, work))
    return steps


def _phases(steps: list[tuple[float, float]]) -> dict[str, Spread]:
    forward, backward = zip(*steps, strict=True)
    return {
        "forward": Spread.of(forward),
        "backward": Spread.of(backward),
        "both": Spread.of([a + b for a, b in steps]),
    }


def _serve(connection: Connection, case: Case, candidate: str, settings: Settings) -> None:
    """A candidate's process: says it is ready, gives a turn's steps a request, at last its peak memory."""
    try:
        torch.set_num_threads(settings.threads)
        work = case.setup()
        function = build(work, candidate)
        for _ in range(5):
            timed_step(function, work)
        connection.send({"ready": True})
        while connection.recv():
            connection.send({"steps": _turn(function, work, settings)})
        call = {}
        if candidate == "deepgen_fast":
            smallest = replace(case, shape=_SMALLEST).setup()
            steps = _turn(build(smallest, candidate), smallest, settings)
            call = {phase: spread.median for phase, spread in _phases(steps).items()}
        connection.send({"peak_bytes": peak_bytes(function, work), "call": call})
    except Exception as error:
        summary = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
        connection.send({"error": f"failed: {summary[:200]}"})


class _Candidate:
    """The parent's end of a candidate's process."""

    def __init__(self, case: Case, name: str, settings: Settings) -> None:
        self.result = CandidateResult()
        self.steps: list[tuple[float, float]] = []
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, case, name, settings), daemon=True)
        self._process.start()
        theirs.close()

    def receive(self) -> dict[str, Any]:
        """The next message; a dead process counts as an error."""
        try:
            message = self._connection.recv()
        except EOFError:
            self._process.join()
            message = {"error": f"failed: its process ended with code {self._process.exitcode}"}
        if "error" in message:
            self.result.error = message["error"]
        return message

    def take_turn(self) -> None:
        if self.result.error is None:
            self._connection.send(True)
            self.steps += self.receive().get("steps", [])

    def finish(self) -> dict[str, float]:
        """Ask for the peak memory and let the process end; returns what a call alone costs, by phase."""
        call: dict[str, float] = {}
        if self.result.error is None:
            self._connection.send(False)
            message = self.receive()
            self.result.peak_bytes, call = message.get("peak_bytes"), message.get("call", {})
            self.result.seconds = _phases(self.steps)
        self._process.join()
        return call


def _refusal(case: Case) -> str | None:
    """Why the operator is not timed, or None."""
    try:
        check(case.setup())
    except WrongResultError as error:
        return f"not timed, wrong result: {error}"
    return None


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a fresh process: what it allocates must not smooth a candidate's way."""
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        return pool.submit(function, *arguments).result()


def measure(case: Case, settings: Settings) -> OpResult:
    """Time every candidate of a case, in turns, with the floors beside them."""
    facts: dict[str, Any] = {"op": case.op, "variant": case.variant, "shape": case.shape, "target": case.target}
    refusal = _apart(_refusal, case)
    if refusal is not None:
        results = {name: CandidateResult(error="not timed: nothing to compare with") for name in CANDIDATES}
        return OpResult(**facts, candidates=results | {"deepgen_fast": CandidateResult(error=refusal)})
    candidates = {name: _Candidate(case, name, settings) for name in CANDIDATES}
    for candidate in candidates.values():
        candidate.receive()
    order = list(candidates.values())
    for _ in range(settings.turns):
        for candidate in order:
            candidate.take_turn()
        order.append(order.pop(0))  # so that none always follows the same one
    call: dict[str, float] = {}
    for candidate in candidates.values():
        call |= candidate.finish()
    limits = _apart(floors, case, settings.threads)
    for phase, seconds in call.items():
        limits[phase]["call"] = seconds
    return OpResult(**facts, candidates={name: each.result for name, each in candidates.items()}, floors=limits)
