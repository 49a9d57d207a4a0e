"""Processes that train one model together, as ``torchrun`` starts them; one process is the usual case.

Every process holds the whole model and takes its rows of each batch; gradients are added up after the backward pass.
Process 0 alone writes and measures. So two processes do what one does with the joined batch, up to rounding.
"""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from deepgen_fast.training.machine.devices import resolve_device

T = TypeVar("T")

_BUCKET = 1 << 24  # numbers of gradients that travel at once


@dataclass(frozen=True)
class Processes:
    """This process among all of them.

    Attributes:
        device: that this process computes on.
        rank: of this process, from 0.
        size: number of processes.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        return self.size == 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up over the processes, in place."""
        if not self.alone:
            dist.all_reduce(tensor)
        return tensor

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Add up the parameters' gradients over the processes: those of a process's share of the loss become those of
        the whole."""
        if self.alone:
            return
        bucket: list[Tensor] = []
        for parameter in parameters:
            if parameter.grad is not None:
                bucket.append(parameter.grad)
                if sum(grad.numel() for grad in bucket) >= _BUCKET:
                    _sum(bucket)
                    bucket = []
        if bucket:
            _sum(bucket)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.alone:
            return flag
        return bool(self.sum(torch.tensor(int(flag), device=self.device)))

    def from_main(self, make: Callable[[], T]) -> T:
        """What process 0 makes, in all of them.

        Raises:
            RuntimeError: in the others, when making it failed in process 0.
        """
        if self.alone:
            return make()
        made: list[Any] = [None, None]
        failure: BaseException | None = None
        if self.is_main:
            try:
                made[0] = make()
            except Exception as error:
                failure, made[1] = error, f"{type(error).__name__}: {error}"
        dist.broadcast_object_list(made, device=self.device)
        if failure is not None:
            raise failure
        if made[1] is not None:
            raise RuntimeError(f"process 0: {made[1]}")
        return made[0]


def _sum(grads: list[Tensor]) -> None:
    flat = _flatten_dense_tensors(grads)
    dist.all_reduce(flat)
    for grad, summed in zip(grads, _unflatten_dense_tensors(flat, grads), strict=True):
        grad.copy_(summed)


def join_processes(device: str) -> Processes:
    """The processes of torch's process group, which is made where ``torchrun`` started this one; else this one alone.

    Backend: nccl on GPUs, one for each process of a machine; gloo elsewhere.

    Raises:
        ValueError: for a device that this machine does not have.
    """
    resolved = resolve_device(device)
    started = int(os.environ.get("WORLD_SIZE", "1")) > 1 and dist.is_torchelastic_launched()
    if not dist.is_available() or not (dist.is_initialized() or started):
        return Processes(resolved)
    if resolved.type == "cuda" and resolved.index is None:
        resolved = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if resolved.type == "cuda":
        torch.cuda.set_device(resolved)
    if not dist.is_initialized():
        # Before there is a group: its functions have the group there is at import as default arguments, and keep it.
        importlib.import_module("torch.distributed.nn")
        dist.init_process_group("nccl" if resolved.type == "cuda" else "gloo")
        atexit.register(_end_gloo)
    return Processes(resolved, dist.get_rank(), dist.get_world_size())


def _end_gloo() -> None:
    """End the group while Python still runs: a thread of gloo's that lets go of a tensor later aborts the process.

    Its threads end when the last reference to it is gone. A group of nccl's is left alone, as ending it waits for the
    other processes, which may wait for one that failed.
    """
    if dist.is_initialized() and dist.get_backend() == "gloo":
        dist.destroy_process_group()
