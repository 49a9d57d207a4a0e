"""DCGAN's generator and discriminator (Figure 13.8, width 128), plain, compiled and accelerated."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

import deepgen_fast as dgf
from benchmarks.convolution.networks import discriminator, generator
from benchmarks.gpu import timing
from benchmarks.gpu.layers import set_tf32

BATCH = 128
CALLS = 3
MODES = ("evaluation", "forward + backward")
PRECISIONS = ("float32", "TF32", "bf16 autocast")
RIVALS = ("PyTorch, contiguous", "PyTorch, channels-last", "torch.compile")
OURS = ("accelerate()", "accelerate(), channels-last")


def _candidates(name: str) -> dict[str, tuple[nn.Module, torch.memory_format]]:
    torch.manual_seed(0)
    plain = (generator() if name == "generator" else discriminator()).to(timing.DEVICE)
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    return {
        RIVALS[0]: (plain, torch.contiguous_format),
        RIVALS[1]: (last, torch.channels_last),
        RIVALS[2]: (torch.compile(copy.deepcopy(last), dynamic=False), torch.channels_last),  # type: ignore[dict-item]
        OURS[0]: (dgf.accelerate(copy.deepcopy(plain)), torch.contiguous_format),
        OURS[1]: (dgf.accelerate(copy.deepcopy(last)), torch.channels_last),
    }


def _step(network: nn.Module, x: torch.Tensor, mode: str, bf16: bool) -> Callable[[], object]:
    parameters = list(network.parameters())

    def forward() -> object:
        with torch.no_grad(), torch.autocast(timing.DEVICE, torch.bfloat16, enabled=bf16, cache_enabled=False):
            return network(x)

    def both() -> object:
        with torch.autocast(timing.DEVICE, torch.bfloat16, enabled=bf16, cache_enabled=False):
            loss = network(x).float().square().mean()
        return torch.autograd.grad(loss, parameters)

    return both if mode == "forward + backward" else forward


def _runs(step: Callable[[], object]) -> bool:
    """Whether the compiled network works: torch 2.11's fails where a stride is not what its backward expected."""
    try:
        step()
    except AssertionError:
        return False
    return True


def rows() -> Iterator[dict[str, Any]]:
    """One row a network, mode and precision."""
    torch.backends.cudnn.benchmark = True  # PyTorch's algorithms at their best, for all candidates
    for name in ("generator", "discriminator"):
        shape = (BATCH, 100, 1, 1) if name == "generator" else (BATCH, 3, 64, 64)
        for precision in PRECISIONS:
            set_tf32(precision == "TF32")
            torch.compiler.reset()
            candidates = _candidates(name)
            for mode in MODES:
                steps = {}
                for label, (network, memory) in candidates.items():
                    network.train(mode != "evaluation")
                    x = torch.randn(shape, device=timing.DEVICE).contiguous(memory_format=memory)
                    step = _step(network, x, mode, precision == "bf16 autocast")
                    if label != RIVALS[2] or _runs(step):
                        steps[label] = [step] * CALLS
                device, calls = timing.measure(steps)
                rivals = [rival for rival in RIVALS if rival in steps]
                best, best_call = (min(times[rival].median for rival in rivals) for times in (device, calls))
                row: dict[str, Any] = {"precision": precision, "network": name, "mode": mode}
                row |= {label: str(device[label]) if label in device else "fails" for label in candidates}
                row |= {f"over the best, {label}": f"x{best / device[label].median:.2f}" for label in OURS}
                row |= {f"call over the best, {label}": f"x{best_call / calls[label].median:.2f}" for label in OURS}
                yield row
    set_tf32(False)
    torch.backends.cudnn.benchmark = False
