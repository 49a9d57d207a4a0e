"""The row operators, forward and backward: the work of ``python -m benchmarks.report``, on a GPU and at its sizes.

Inputs rotate over copies that together exceed the L2 cache, so that memory is what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.candidates import backward, build, forward
from benchmarks.cases import Case, Work
from benchmarks.gaussian_log_likelihood.setup import UNIT
from benchmarks.gpu import timing

RIVALS, BACKENDS = ("eager", "torch.compile"), ("cuda", "triton")
LATENT_SHAPES = ((128, 32), (128, 512), (4096, 512), (65536, 128))
PIXEL_SHAPES = ((128, 784), (4096, 784), (1024, 12288), (65536, 784))
AIM = 1.0
CASES = (
    *(Case("reparameterize_kl", shape, AIM) for shape in LATENT_SHAPES),
    *(Case("negative_elbo", shape, AIM, "bernoulli") for shape in PIXEL_SHAPES),
    *(Case("bernoulli_log_likelihood", shape, AIM) for shape in PIXEL_SHAPES),
    *(Case("gaussian_log_likelihood", shape, AIM, UNIT) for shape in PIXEL_SHAPES),
    *(Case("minibatch_discrimination", (batch, 100), AIM, "5 dims") for batch in (64, 256)),
    Case("minibatch_discrimination", (512, 50), AIM, "16 dims"),
)
COPIES_BYTES = 256 << 20
MOST_COPIES = 16


def _on_device(work: Work) -> Work:
    """The same work on tensors of its own."""

    def copy(tensor: Tensor) -> Tensor:
        return tensor.detach().to(timing.DEVICE, copy=True).requires_grad_(tensor.requires_grad)

    grads = None if work.grad_outputs is None else tuple(map(copy, work.grad_outputs))
    return replace(work, inputs=tuple(map(copy, work.inputs)), grad_outputs=grads)


def _step(function: Callable[..., Any], work: Work) -> Callable[[], object]:
    return lambda: backward(forward(function, work), work)


def rows() -> Iterator[dict[str, Any]]:
    """One row a case."""
    bandwidth = timing.copy_bandwidth()
    for case in CASES:
        torch.compiler.reset()
        work = case.setup()
        functions = {name: build(work, name) for name in RIVALS}
        functions |= {backend: partial(work.fused, backend=backend) for backend in BACKENDS}
        count = COPIES_BYTES // sum(tensor.nbytes for tensor in work.inputs)
        copies = [_on_device(work) for _ in range(max(2, min(MOST_COPIES, count)))]
        steps = {name: [_step(function, copy) for copy in copies] for name, function in functions.items()}
        device, calls = timing.measure(steps)
        best = min(device[rival].median for rival in RIVALS)
        cost = work.costs["both"]
        row: dict[str, Any] = {"case": case.name}
        row |= {name: str(times) for name, times in device.items()}
        row["floor"] = f"{(cost.read + sum(cost.written)) / bandwidth:.1f}"
        row |= {f"over the best, {name}": f"x{best / device[name].median:.2f}" for name in BACKENDS}
        row |= {f"call, {name}": f"{times.median:.0f}" for name, times in calls.items()}
        yield row
