"""The optimizer of every trainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from deepgen_fast.config.sections import TrainerConfig


def build_adam(
    parameters: Iterable[Tensor],
    config: TrainerConfig,
    device: torch.device,
    *,
    rate: float = 1.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Adam:
    """Adam, or AdamW where there is a weight decay.

    Args:
        parameters: to move.
        config: learning rate and weight decay.
        device: of the parameters.
        rate: learning rate as a multiple of the config's.
        betas: of the averages of gradients and of their squares.
    """
    # Fused: one pass over weights, gradients and moments in place of a dozen.
    fused = device.type in ("cpu", "cuda")
    learning_rate = config.learning_rate * rate
    if config.weight_decay:
        decay = config.weight_decay
        return torch.optim.AdamW(parameters, lr=learning_rate, betas=betas, weight_decay=decay, fused=fused)
    return torch.optim.Adam(parameters, lr=learning_rate, betas=betas, fused=fused)


def moments_of(optimizer: torch.optim.Adam) -> dict[str, Tensor]:
    """The state of every parameter, as ``INDEX.NAME``; of one that has not moved yet the zeros that Adam starts from,
    in tensors that the optimizer does not hold.
    """
    return {
        f"{index}.{name}": value
        for index, (parameter, fused) in enumerate(_parameters(optimizer))
        for name, value in (optimizer.state.get(parameter) or _start(parameter, fused)).items()
    }


@torch.no_grad()
def restore_moments(optimizer: torch.optim.Adam, moments: Mapping[str, Tensor]) -> None:
    """Take over what ``moments_of`` gave. Each is copied into memory with its parameter's strides: the fused Adam walks
    parameter and moments side by side.

    Args:
        optimizer: that moves the parameters.
        moments: with the names, shapes and dtypes of ``moments_of(optimizer)``.
    """
    for index, (parameter, fused) in enumerate(_parameters(optimizer)):
        optimizer.state[parameter] = _start(parameter, fused)
        for name, value in optimizer.state[parameter].items():
            value.copy_(moments[f"{index}.{name}"])


def _parameters(optimizer: torch.optim.Adam) -> list[tuple[Tensor, bool]]:
    """Every parameter, and whether the fused Adam moves it."""
    return [(parameter, bool(group["fused"])) for group in optimizer.param_groups for parameter in group["params"]]


def _start(parameter: Tensor, fused: bool) -> dict[str, Tensor]:
    """Adam's state before its first step."""
    return {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device if fused else "cpu"),
        "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
    }
