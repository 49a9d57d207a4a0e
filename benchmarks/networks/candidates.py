"""One candidate in a process of its own, which takes a turn when it is told to."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from torch import nn

import deepgen_fast as dgf
from benchmarks.convolution.timing import keep_freed_memory
from benchmarks.networks.cases import NETWORKS

CANDIDATES = ("PyTorch", "torch.compile", "accelerate()")
LEARNING_RATE = 1e-6  # small: what is measured is time


class Row(NamedTuple):
    network: str
    batch_index: int  # of cases.BATCHES
    batch: int
    mode: str
    format: str


class _Step:
    """A training step (forward, backward, SGD) or an evaluation of one network."""

    def __init__(self, row: Row, candidate: str) -> None:
        torch.manual_seed(0)
        case = NETWORKS[row.network]
        model: Any = case.make()
        images = torch.randn(row.batch, *case.shapes[row.batch_index])
        if row.format == "channels-last":
            model = model.to(memory_format=torch.channels_last)
            images = images.contiguous(memory_format=torch.channels_last)
        self.training = row.mode == "training step"
        model.train(self.training)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
        if candidate == "accelerate()":
            dgf.accelerate(model)
        elif candidate == "torch.compile":
            model = torch.compile(model, dynamic=False)
        self.model: nn.Module = model
        self.images = images

    def __call__(self) -> float:
        if not self.training:
            with torch.no_grad():
                return float(self.model(self.images).flatten()[0])
        self.optimizer.zero_grad()
        loss = self.model(self.images).square().mean()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


def _serve(connection: Connection, candidate: str, threads: int) -> None:
    """Answers a row with the result of its first step, a number of seconds with the times of a turn."""
    torch.set_num_threads(threads)
    keep_freed_memory()  # else it is chance which candidate pays for its pages at every step
    step = None
    while (request := connection.recv()) is not None:
        try:
            if isinstance(request, Row):
                torch.compiler.reset()
                step = None  # before the next network is made: not two in memory
                step = _Step(request, candidate)
                value = step()
                step()
                connection.send(value)
                continue
            assert step is not None
            taken: list[float] = []
            end = time.perf_counter() + request
            while time.perf_counter() < end or not taken:
                start = time.perf_counter()
                step()
                taken.append(time.perf_counter() - start)
            connection.send(taken[1:] if len(taken) > 2 else taken)  # the other candidates' threads still spin
        except Exception as error:
            connection.send(f"failed: {type(error).__name__}: {str(error).splitlines()[0][:120]}")


class Candidate:
    """The parent's end."""

    def __init__(self, name: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, threads), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, request: Row | float) -> Any:
        self._connection.send(request)
        return self._connection.recv()

    def close(self) -> None:
        self._connection.send(None)
        self._process.join()
