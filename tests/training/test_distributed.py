"""Two processes over gloo train as one does with the joined batch."""

from __future__ import annotations

import json
from pathlib import Path

import distributed_runs as runs
import pytest
import torch
import torch.multiprocessing as mp

from deepgen_fast.data import InMemoryBatches, LoaderBatches, Shard
from deepgen_fast.nn import synchronized_batch_norm
from deepgen_fast.training.machine.distributed import join_processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(scope="module")
def ranks(folder) -> list[dict]:
    """What each of two processes found."""
    spawn = mp.get_context("spawn")
    processes = [spawn.Process(target=runs.run, args=(rank, str(folder)), daemon=True) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=500)
    assert [process.exitcode for process in processes] == [0, 0]
    return [torch.load(folder / f"rank{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict:
    return runs.found(runs.train_gan())


@pytest.mark.parametrize("name", runs.layers())
def test_synchronized_batch_norm_is_batch_norm_of_the_joined_rows(ranks, name):
    """Values, gradients, second derivatives and running statistics, rows shared as 4 and 2."""
    layer = runs.layers()[name]
    expected = runs.derivatives(layer, runs.batch(name), 0)
    first, second = (rank[name] for rank in ranks)
    for key, value in expected.items():
        if key in ("output", "input gradient", "penalty's input gradient"):
            joined = torch.cat([first[key], second[key]])
        elif "gradient" in key:  # of a parameter: each process has its rows' part
            joined = first[key] + second[key]
        else:
            assert torch.equal(first[key], second[key]), key
            joined = first[key]
        torch.testing.assert_close(joined, value, rtol=1e-9, atol=1e-10, msg=lambda text, key=key: f"{key}: {text}")


def test_losses_are_those_of_one_process(ranks, alone):
    for ours, theirs in zip(ranks[0]["gan"]["history"], alone["history"], strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            if name not in ("seconds", "examples_per_second"):
                assert ours[name] == pytest.approx(value, rel=2e-3, abs=2e-3), name
    # The first epoch, before rounding has grown through Adam's signs.
    for name in ("discriminator_loss", "generator_loss", "discriminator_r1", "discriminator_gradient_penalty"):
        assert ranks[0]["gan"]["history"][0][name] == pytest.approx(alone["history"][0][name], rel=2e-4), name


def test_weights_are_those_of_one_process_and_the_same_in_both(ranks, alone):
    for part in ("state", "ema"):
        first, second, whole = ranks[0]["gan"][part], ranks[1]["gan"][part], alone[part]
        assert first.keys() == whole.keys() and first
        for name, value in whole.items():
            assert torch.equal(first[name], second[name]), name
            torch.testing.assert_close(first[name], value, rtol=1e-2, atol=1e-3, msg=name)


def test_a_vae_has_losses_weights_and_gradients_of_one_process(ranks):
    alone = runs.train_exact_vae()
    for rank in ranks:
        ours = rank["exact_vae"]
        for record, whole in zip(ours["history"], alone.history, strict=True):
            for name in ("train_loss", "train_log_likelihood", "train_kl"):
                assert record[name] == pytest.approx(whole[name], rel=1e-4), name
        expected = {**runs.found(alone), "gradients": runs.gradients(alone)}
        for part in ("state", "ema", "gradients"):
            for name, value in expected[part].items():
                torch.testing.assert_close(ours[part][name], value, rtol=1e-2, atol=1e-4, msg=f"{part} {name}")


@pytest.mark.parametrize("run", ["bf16", "per_process", "vae", "cvae"])
def test_processes_agree(ranks, run):
    states = [rank[run]["state"] for rank in ranks]
    for name, value in states[0].items():
        # Statistics of a process's own batch are its own.
        if run != "per_process" or "running" not in name:
            assert torch.equal(value, states[1][name]), name
    assert all(torch.isfinite(value).all() for value in states[0].values())


def test_statistics_of_each_process_differ_from_joined_ones(ranks):
    name = "discriminator.1.1.running_var"
    own = [rank["per_process"]["state"][name] for rank in ranks]
    assert not torch.equal(*own)


def test_a_signal_to_one_process_stops_both_and_the_run_goes_on(ranks, folder):
    assert [rank["interrupted"] for rank in ranks] == [4, 4]
    for part in ("state", "ema"):
        for name, value in ranks[0]["gan"][part].items():
            assert torch.equal(ranks[0]["resumed"][part][name], value), name
    lines = [
        [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("gan", "parts")
    ]
    for whole, parts in zip(*lines, strict=True):
        assert {**whole, "seconds": 0, "examples_per_second": 0} == {**parts, "seconds": 0, "examples_per_second": 0}


def test_failures_reach_both_processes(ranks):
    first, second = (rank["errors"] for rank in ranks)
    assert first[0].startswith("NonFiniteLossError: the discriminator's loss became nan at step 2")
    assert second[0] == first[0]
    expected = "ConfigError: trainer.batch_size: 2 processes cannot share a batch of 1; set drop_last"
    assert first[1] == second[1] == expected
    assert first[2].startswith("FileExistsError: ") and "already holds a run" in first[2]
    assert second[2] == f"RuntimeError: process 0: {first[2]}"


def test_without_other_processes_nothing_differs():
    layer = runs.layers()["images"]
    x = runs.batch("images")
    expected = layer(x)
    with synchronized_batch_norm(layer):
        assert "Synchronized" in type(layer).__name__
        torch.testing.assert_close(layer(x), expected)
    assert type(layer) is torch.nn.BatchNorm2d
    processes = join_processes("cpu")
    assert processes.alone and processes.is_main and not processes.any(False)
    assert processes.from_main(lambda: 3) == 3


@pytest.mark.parametrize("kind", ["tensor", "loader"])
@pytest.mark.parametrize("drop_last", [False, True])
def test_shards_are_the_batches(kind, drop_last):
    data = torch.arange(23.0).unsqueeze(1)

    def batches(shard: Shard) -> list[torch.Tensor]:
        made = (InMemoryBatches if kind == "tensor" else LoaderBatches)(
            data, 5, generator=torch.Generator().manual_seed(0), drop_last=drop_last, shard=shard
        )
        assert len(made) == (4 if drop_last else 5)
        return list(made.epoch(1))

    whole, *parts = (batches(shard) for shard in (Shard(), Shard(0, 3), Shard(1, 3), Shard(2, 3)))
    for index, batch in enumerate(whole):
        assert torch.equal(torch.cat([part[index] for part in parts]), batch)
        assert max(len(part[index]) for part in parts) - min(len(part[index]) for part in parts) <= 1
