"""torch.func through the blocks' functions in training: gradients and running statistics are those of plain layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf

_GENERATOR = torch.Generator().manual_seed(0)
IMAGE, WEIGHT = (torch.randn(shape, generator=_GENERATOR) for shape in ((4, 8, 8, 8), (8, 8, 4, 4)))
GAIN, SHIFT = (torch.randn(8, generator=_GENERATOR) for _ in range(2))
MOMENTUM = 0.3

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def losses(transposed: bool) -> tuple[Loss, Loss]:
    convolution = F.conv_transpose2d if transposed else F.conv2d
    block = dgf.conv_transpose_bn_act if transposed else dgf.conv_bn_act

    def plain(weight: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        image = convolution(IMAGE, weight, stride=2, padding=1)
        return F.relu(F.batch_norm(image, mean, var, GAIN, SHIFT, True, MOMENTUM)).square().sum()

    def fused(weight: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        norm = {"running_mean": mean, "running_var": var, "bn_weight": GAIN, "bn_bias": SHIFT}
        return block(IMAGE, weight, **norm, training=True, momentum=MOMENTUM, activation="relu").square().sum()

    return plain, fused


def statistics(*batch: int) -> tuple[Tensor, Tensor]:
    return torch.zeros(*batch, 8), torch.ones(*batch, 8)


@pytest.mark.parametrize("transposed", [False, True], ids=["conv_bn_act", "conv_transpose_bn_act"])
def test_grad_moves_the_running_statistics_of_outside(transposed: bool) -> None:
    found = []
    for loss in losses(transposed):
        mean, var = statistics()
        gradient = torch.func.grad(lambda weight: loss(weight, mean, var))(WEIGHT)  # noqa: B023
        found.append((gradient, mean, var))
    plain, fused = found
    torch.testing.assert_close(fused[0], plain[0], rtol=1e-3, atol=1e-3)
    assert plain[1].abs().max() > 0
    torch.testing.assert_close(fused[1:], plain[1:])


@pytest.mark.parametrize("transposed", [False, True], ids=["conv_bn_act", "conv_transpose_bn_act"])
def test_vmap_moves_statistics_of_its_own_and_refuses_shared_ones(transposed: bool) -> None:
    """PyTorch's batch norm refuses them too: which of the weights' batches should move them?"""
    weights = torch.stack([WEIGHT, 2 * WEIGHT])
    found = []
    for loss in losses(transposed):
        mean, var = statistics(2)
        torch.func.vmap(loss)(weights, mean, var)
        found.append((mean, var))
        shared = statistics()
        with pytest.raises(RuntimeError, match="running_mean or running_var"):
            torch.func.vmap(lambda weight: loss(weight, *shared))(weights)  # noqa: B023
    torch.testing.assert_close(found[1], found[0])
