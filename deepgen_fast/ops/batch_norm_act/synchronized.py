"""Batch normalization by the statistics of a batch that several processes share.

Forward: each process takes the statistics of its rows, and one ``all_gather`` joins them. Backward: its two sums over
the batch are added up over the processes. ``nn.SyncBatchNorm`` does the same on GPUs alone; this runs wherever
``torch.distributed`` does, and its backward can be differentiated, through the other processes' rows too.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_torch_code, transforming
from deepgen_fast.ops.batch_norm_act import reference
from deepgen_fast.ops.batch_norm_act.function import Norm, check_numbers, move_running_statistics
from deepgen_fast.ops.batch_norm_act.launch import launcher
from deepgen_fast.ops.forward_mode import forward_mode
from deepgen_fast.ops.rows import accumulation_dtype

_OTHERS = (0, 2, 3)


class SumOverProcesses(torch.autograd.Function):
    """x -> its sum over the processes, whose adjoint is the same sum: every process's loss counts."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = x.contiguous().clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return SumOverProcesses.apply(grad, ctx.group), None


def joined_statistics(statistics: Tensor, count: int, group: Any) -> tuple[Tensor, int]:
    """Statistics of all rows, ``[2, channels]`` of mean and sum of squared deviations, and their number.

    Args:
        statistics: of the rows here, float64.
        count: values a channel here.
        group: of processes; the default one when None.
    """
    mine = torch.cat([statistics.flatten(), statistics.new_tensor([count])])
    gathered = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(gathered, mine, group=group)
    rows = torch.stack(gathered)
    counts = rows[:, -1:]
    means, deviations = rows[:, :-1].unflatten(1, (2, -1)).unbind(1)
    total = counts.sum()
    mean = (means * counts).sum(0) / total
    return torch.stack([mean, (deviations + counts * (means - mean).square()).sum(0)]), int(total)


class SynchronizedBatchNormAct(torch.autograd.Function):
    """input, weight, bias -> act((input - mean) * invstd * weight + bias), statistics over ``count`` values."""

    @staticmethod
    def forward(
        input: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, invstd: Tensor, count: int,
        activation: int, negative_slope: float, eps: float, backend: str, group: Any,
    ) -> Tensor:  # fmt: skip
        launch = launcher("batch_norm_act", input, backend)
        return launch.batch_norm_act(input, mean, invstd, weight, bias, activation, negative_slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, bias, mean, invstd, *ctx.options = inputs
        ctx.save_for_backward(input, weight, bias, mean, invstd)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        input, weight, bias, mean, invstd = ctx.saved_tensors
        count, activation, negative_slope, eps, backend, group = ctx.options
        need_input, need_weight, need_bias = ctx.needs_input_grad[:3]
        if needs_torch_code(grad):
            launch = reference
            # The second derivative goes through the statistics too.
            mean, invstd = _joined_moments(input, count, eps, group)
        else:
            launch = launcher("batch_norm_act_backward", input, backend)
        # As for constant statistics; then what goes through them.
        grad_input, grad_weight, grad_bias = launch.batch_norm_act_backward(
            grad, input, mean, invstd, weight, bias, activation, negative_slope, False, need_input, True
        )
        if need_input:
            through = _through_statistics(input, mean, invstd, weight, grad_weight, grad_bias, count, group)
            grad_input = (grad_input.to(through.dtype) - through).to(input.dtype)
        return (
            grad_input if need_input else None,
            grad_weight.to(weight.dtype) if need_weight else None,
            grad_bias.to(bias.dtype) if need_bias else None,
            *(None,) * 8,
        )


def _joined_moments(input: Tensor, count: int, eps: float, group: Any) -> tuple[Tensor, Tensor]:
    """``reference.moments`` of all rows, differentiable."""
    wide = input.to(accumulation_dtype(input.dtype))
    mean = SumOverProcesses.apply(wide.sum(_OTHERS), group) / count
    deviations = SumOverProcesses.apply((wide - _view(mean)).square().sum(_OTHERS), group)
    return mean, torch.rsqrt(deviations / count + eps)


def _through_statistics(
    input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, grad_weight: Tensor, grad_bias: Tensor,
    count: int, group: Any,
) -> Tensor:  # fmt: skip
    """What mean and variance take from the gradient: its mean over all rows, and its part along the input."""
    sums = SumOverProcesses.apply(torch.stack([grad_weight, grad_bias]).double(), group)
    along, offset = sums / count
    scale = (invstd if weight is None else invstd * weight.to(invstd.dtype)).double()
    wide = invstd.dtype
    # Centered first, so that nothing cancels however large the mean.
    centered = input.to(wide) - _view(mean)
    return torch.addcmul(_view((scale * offset).to(wide)), centered, _view((scale * along * invstd).to(wide)))


def _view(channels: Tensor) -> Tensor:
    return channels.view(-1, 1, 1)


def normalize_by_processes(
    input: Tensor, norm: Norm, activation: int, negative_slope: float, backend: str, group: Any = None
) -> Tensor:
    """Training mode: normalize by the statistics of all processes' rows, activate, and move the running statistics.

    Args:
        input: ``[batch, channels, height, width]``, the rows here.
        group: of processes; the default one when None.

    Raises:
        RuntimeError: under torch.func, which knows no other processes, and in forward mode.
    """
    if transforming() or forward_mode():
        raise RuntimeError("synchronized batch norm does not run under torch.func transforms, nor in forward mode")
    check_numbers(norm, training=True)
    launch = launcher("channel_statistics", input, backend)
    here = input.numel() // max(input.shape[1], 1)
    taken = launch.channel_statistics(input.detach()) if here else reference.channel_statistics(input).nan_to_num()
    statistics, count = joined_statistics(taken, here, group)
    if count < 2:
        raise ValueError(f"expected more than 1 value per channel when training, got {count} in all processes")
    move_running_statistics(norm, statistics, count)
    dtype = accumulation_dtype(input.dtype)
    mean, invstd = statistics[0].to(dtype), torch.rsqrt(statistics[1] / count + norm.eps).to(dtype)
    options = (count, activation, negative_slope, norm.eps, backend, group)
    return apply_function(SynchronizedBatchNormAct, input, norm.weight, norm.bias, mean, invstd, *options)
