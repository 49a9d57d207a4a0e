"""What is measured: operators at shapes, with the work of one step and the traffic it cannot do without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

OPS = (
    "reparameterize_kl",
    "bernoulli_log_likelihood",
    "gaussian_log_likelihood",
    "negative_elbo",
    "minibatch_discrimination",
)
PHASES = ("forward", "backward", "both")

# Vector instructions that a kernel's formulas need for 16 float32 lanes, counted by hand in csrc/cpu: an estimate
# from below, in which a division or a square root counts one.
EXP, LOG1P, NOISE = 17, 10, 65


class Cost(NamedTuple):
    """What one phase must do: bytes read, sizes in bytes of the tensors it makes, vector lanes computed."""

    read: int
    written: tuple[int, ...]
    lane_instructions: int

    def __add__(self, other: Cost) -> Cost:  # type: ignore[override]
        return Cost(
            self.read + other.read, self.written + other.written, self.lane_instructions + other.lane_instructions
        )


@dataclass(frozen=True)
class Work:
    """One step of an operator.

    Attributes:
        inputs: in the order of ``eager`` and ``fused``; those that require gradients are trained.
        grad_outputs: incoming gradients of the outputs; None for a scalar loss.
        eager: the expression a PyTorch user writes.
        fused: the operator; takes ``backend=``.
        costs: of each phase.
    """

    inputs: tuple[Tensor, ...]
    grad_outputs: tuple[Tensor, ...] | None
    eager: Callable[..., Any]
    fused: Callable[..., Any]
    costs: dict[str, Cost]

    @property
    def trained(self) -> tuple[Tensor, ...]:
        return tuple(t for t in self.inputs if t.requires_grad)


@dataclass(frozen=True)
class Case:
    """An operator at a shape ``(batch, event)``; ``target`` is the speed-up aimed at for forward + backward."""

    op: str
    shape: tuple[int, int]
    target: float
    variant: str = ""

    @property
    def name(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"{self.op}-{self.variant}-{shape}".replace("--", "-").replace(" ", "_")

    def setup(self) -> Work:
        """Inputs and functions, the same for every candidate: float32 from a fixed seed."""
        return import_module(f"benchmarks.{self.op}.setup").setup(self)


def cases(op: str) -> tuple[Case, ...]:
    """Every case of an operator."""
    return import_module(f"benchmarks.{op}.setup").CASES


class Draw:
    """Float32 tensors from a fixed seed."""

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(0)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator)

    def unit(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator)

    def trained(self, *shape: int) -> Tensor:
        return self.normal(*shape).requires_grad_()


def with_both(forward: Cost, backward: Cost) -> dict[str, Cost]:
    """Costs of an operator whose backward is a second pass over memory."""
    return {"forward": forward, "backward": backward, "both": forward + backward}
