"""The row operators, forward and backward, against eager PyTorch and ``torch.compile``.

Inputs rotate over copies that together exceed the L2 cache, so that memory is what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf
from benchmarks.gpu import timing

BACKENDS = ("cuda", "triton")
LATENT_SHAPES = ((128, 32), (128, 512), (4096, 512), (65536, 128))
PIXEL_SHAPES = ((128, 784), (4096, 784), (1024, 12288), (65536, 784))
PAIR_SHAPES = ((64, 100, 5), (256, 100, 5), (512, 50, 16))
LATENT_DIM = 32  # beside the pixels, in the whole loss
COPIES_BYTES = 256 << 20
MOST_COPIES = 16


def eager_reparameterize(mean: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    std = torch.exp(0.5 * logvar)
    return mean + std * torch.randn_like(std), -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1)


def eager_bernoulli(logits: Tensor, target: Tensor) -> Tensor:
    return -F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)


def eager_gaussian(mean: Tensor, target: Tensor) -> Tensor:
    return -0.5 * ((target - mean).square() + 1.8378770664093453).sum(1)


def eager_loss(logits: Tensor, target: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    reconstruction = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
    return (reconstruction - 0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1)).mean()


def eager_pairs(features: Tensor) -> Tensor:
    return torch.exp(-(features.unsqueeze(1) - features).abs().sum(-1)).sum(1) - 1.0


class Operator(NamedTuple):
    """An operator and what it replaces.

    Attributes:
        differentiated: how many of its tensors have gradients.
        floor: float32 numbers that must move, forward and backward, as multiples of the first tensor's; None where
            arithmetic binds.
    """

    name: str
    eager: Callable[..., Any]
    fused: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    differentiated: tuple[int, ...]
    floor: float | None

    def tensors(self, shape: tuple[int, ...]) -> list[Tensor]:
        first = torch.randn(shape, device=timing.DEVICE)
        if self.name == "minibatch_discrimination":
            return [first / shape[-1]]
        if self.name == "reparameterize_kl":
            return [first, 0.5 * torch.randn(shape, device=timing.DEVICE)]
        posterior = (torch.randn(shape[0], LATENT_DIM, device=timing.DEVICE) for _ in range(2))
        target = torch.rand(shape, device=timing.DEVICE)
        return [first, target, *(posterior if self.name == "negative_elbo" else ())]


OPERATORS = (
    # In: mean, log-variance; out: z. Backward: the two and the gradient of z in, two out.
    Operator("reparameterize_kl", eager_reparameterize, dgf.reparameterize_kl, LATENT_SHAPES, (0, 1), 3 + 5),
    # The gradients are made with the loss.
    Operator("negative_elbo", eager_loss, dgf.negative_elbo, PIXEL_SHAPES, (0, 2, 3), 3),
    Operator("bernoulli_log_likelihood", eager_bernoulli, dgf.bernoulli_log_likelihood, PIXEL_SHAPES, (0,), 2 + 3),
    Operator("gaussian_log_likelihood", eager_gaussian, dgf.gaussian_log_likelihood, PIXEL_SHAPES, (0,), 2 + 3),
    Operator("minibatch_discrimination", eager_pairs, dgf.minibatch_discrimination, PAIR_SHAPES, (0,), None),
)


def _step(function: Callable[..., Any], tensors: list[Tensor], grads: list[Tensor | None]) -> Callable[[], object]:
    """Forward and backward; the gradients of the outputs are given."""
    wanted = [tensor for tensor in tensors if tensor.requires_grad]

    def step() -> object:
        outputs = function(*tensors)
        return torch.autograd.grad(outputs, wanted, grads)  # type: ignore[arg-type]

    return step


def rows() -> Iterator[dict[str, Any]]:
    """One row a shape and operator."""
    bandwidth = timing.copy_bandwidth()
    for operator in OPERATORS:
        for shape in operator.shapes:
            torch.compiler.reset()
            functions: dict[str, Callable[..., Any]] = {
                "eager": operator.eager,
                "torch.compile": torch.compile(operator.eager, dynamic=False),
            }
            for backend in BACKENDS:
                functions[backend] = lambda *tensors, b=backend, op=operator: op.fused(*tensors, backend=b)
            size = 4 * torch.Size(shape).numel()
            steps: dict[str, list[Callable[[], object]]] = {name: [] for name in functions}
            for _ in range(max(2, min(MOST_COPIES, COPIES_BYTES // (2 * size)))):
                tensors = operator.tensors(shape)
                for index in operator.differentiated:
                    tensors[index].requires_grad_()
                outputs = operator.eager(*tensors)
                outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                grads = [None if output.dim() == 0 else torch.randn_like(output) for output in outputs]
                for name, function in functions.items():
                    steps[name].append(_step(function, tensors, grads))
            device, calls = timing.measure(steps)
            best = min(device["eager"].median, device["torch.compile"].median)
            row: dict[str, Any] = {"operator": operator.name, "shape": " x ".join(map(str, shape))}
            row |= {name: str(times) for name, times in device.items()}
            row["floor"] = "" if operator.floor is None else f"{operator.floor * size / bandwidth:.1f}"
            row |= {f"over the best, {name}": f"x{best / device[name].median:.2f}" for name in BACKENDS}
            row |= {f"call, {name}": f"{times.median:.0f}" for name, times in calls.items()}
            yield row
