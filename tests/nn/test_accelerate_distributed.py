"""Data-parallel training of an accelerated model: two processes over gloo, as on one with the whole batch."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from deepgen_fast.nn.accelerate import accelerate
from deepgen_fast.nn.accelerate.classes import Accelerated


def _model() -> nn.Sequential:
    torch.manual_seed(7)
    # Frozen statistics, so that halves of a batch are the whole.
    return nn.Sequential(
        nn.Conv2d(3, 4, 4, 2, 1), nn.BatchNorm2d(4).eval(), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1)
    )


def _train(rank: int, folder: str) -> None:
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    model = DistributedDataParallel(accelerate(_model()))
    assert isinstance(model.module, Accelerated)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    images = torch.load(f"{folder}/images.pt")
    for batch in images:
        optimizer.zero_grad()
        model(batch.chunk(2)[rank]).square().mean().backward()
        optimizer.step()
    torch.save(model.module.state_dict(), f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    images = torch.randn(3, 4, 3, 8, 8)
    torch.save(images, tmp_path / "images.pt")
    spawn = mp.get_context("spawn")
    ranks = [spawn.Process(target=_train, args=(rank, str(tmp_path)), daemon=True) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=600)
    assert [process.exitcode for process in ranks] == [0, 0]
    plain = copy.deepcopy(_model())
    optimizer = torch.optim.SGD(plain.parameters(), 0.1)
    for batch in images:
        optimizer.zero_grad()
        plain(batch).square().mean().backward()
        optimizer.step()
    states = [torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)]
    for name, value in plain.state_dict().items():
        assert torch.equal(states[0][name], states[1][name])
        torch.testing.assert_close(states[0][name], value, rtol=1e-4, atol=1e-6)
