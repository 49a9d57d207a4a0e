from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from deepgen_fast.trainers import Checkpoint, CheckpointError, CheckpointStore, checkpoint, read_checkpoint


def build(step: int, value: float = 0.0) -> Checkpoint:
    return Checkpoint(
        {"weight": torch.full((3, 2), value), "count": torch.tensor(step)},
        {"step": step, "epoch": 1},
        {"weight": torch.full((3, 2), value + 1)},
        {"optimizer.0.step": torch.tensor(float(step)), "random.cpu": torch.arange(5, dtype=torch.uint8)},
    )


def test_round_trip(tmp_path):
    store = CheckpointStore(tmp_path)
    path = store.save(build(7, 0.5))
    assert sorted(file.name for file in path.iterdir()) == [
        "ema.safetensors",
        "model.safetensors",
        "state.json",
        "training.safetensors",
    ]
    stored, expected = read_checkpoint(path), build(7, 0.5)
    assert stored.state == expected.state
    for group in ("model", "ema", "training"):
        left, right = getattr(stored, group), getattr(expected, group)
        assert left.keys() == right.keys()
        for name in left:
            assert left[name].dtype == right[name].dtype
            assert torch.equal(left[name], right[name])


def test_tied_and_strided_tensors_are_stored(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    path = CheckpointStore(tmp_path).save(Checkpoint({"a": shared, "b": shared.t()}, {"step": 1}))
    stored = read_checkpoint(path)
    assert torch.equal(stored.model["b"], shared.t())
    assert stored.ema is None
    assert stored.training == {}


def test_the_latest_and_the_best_are_kept(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    for step in range(1, 6):
        if step in (2, 4):
            store.hold_best(build(step))
        store.save(build(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best-00000004", "step-00000004", "step-00000005"]
    assert store.latest().name == "step-00000005"
    assert store.best().name == "best-00000004"
    assert read_checkpoint(store.best()).training == {}


def test_a_held_best_does_not_change_with_training(tmp_path):
    store = CheckpointStore(tmp_path)
    current = build(1, 0.5)
    store.hold_best(current)
    current.model["weight"].fill_(9.0)
    store.save(build(2))
    assert read_checkpoint(store.best()).model["weight"].unique().tolist() == [0.5]


def test_steps_are_ordered_by_number(tmp_path):
    store = CheckpointStore(tmp_path, keep=5)
    for step in (99_999_999, 100_000_000):
        store.save(build(step))
    assert store.latest().name == "step-100000000"


class Crash(BaseException):
    """The machine stops: nothing after this line runs, not even a clean-up."""


@pytest.mark.parametrize("victim", ["model", "ema", "training", "state", "rename"])
def test_a_crash_while_writing_leaves_the_previous_checkpoint(tmp_path, monkeypatch, victim):
    store = CheckpointStore(tmp_path)
    store.save(build(1, 0.25))
    save_file, rename, write_text = checkpoint.save_file, os.rename, Path.write_text

    def half_written(tensors, path):
        save_file(tensors, path)
        if Path(path).stem == victim:
            Path(path).write_bytes(Path(path).read_bytes()[:20])
            raise Crash

    def no_state(self, text, **options):
        if victim == "state":
            write_text(self, text[:5], **options)
            raise Crash
        return write_text(self, text, **options)

    def no_rename(source, target):
        if victim == "rename":
            raise Crash
        rename(source, target)

    monkeypatch.setattr(checkpoint, "save_file", half_written)
    monkeypatch.setattr(Path, "write_text", no_state)
    monkeypatch.setattr(os, "rename", no_rename)
    with pytest.raises(Crash):
        store.save(build(2))
    monkeypatch.undo()
    again = CheckpointStore(tmp_path)
    assert again.latest().name == "step-00000001"
    assert read_checkpoint(again.latest()).model["weight"].unique().tolist() == [0.25]
    assert len(list(tmp_path.iterdir())) == 2
    again.remove_unfinished()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    again.save(build(2))
    assert read_checkpoint(again.latest()).state["step"] == 2


def test_a_full_disk_is_reported_and_cleaned_up(tmp_path, monkeypatch):
    def full(tensors, path):
        raise OSError(28, "No space left on device")

    store = CheckpointStore(tmp_path)
    store.save(build(1))
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match=r"step-00000002: could not be written: .*No space left"):
        store.save(build(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_damaged_checkpoints_are_named(tmp_path):
    path = CheckpointStore(tmp_path).save(build(1))
    with pytest.raises(CheckpointError, match=r"nowhere: not a checkpoint: no state\.json"):
        read_checkpoint(tmp_path / "nowhere")
    state = (path / "state.json").read_text()
    (path / "state.json").write_text(json.dumps({**json.loads(state), "format": 99}))
    with pytest.raises(CheckpointError, match="written in a format that this version does not know"):
        read_checkpoint(path)
    (path / "state.json").write_text(state[:10])
    with pytest.raises(CheckpointError, match="step-00000001: damaged"):
        read_checkpoint(path)
    (path / "state.json").write_text(state)
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="step-00000001: damaged"):
        read_checkpoint(path)


def test_non_finite_tensors_are_found():
    good = build(1)
    assert good.non_finite() == []
    good.model["weight"][1, 1] = torch.nan
    good.training["optimizer.0.step"].fill_(-torch.inf)
    assert good.non_finite() == ["weight", "optimizer.0.step"]


def test_later_checkpoints_are_discarded(tmp_path):
    store = CheckpointStore(tmp_path, keep=5)
    for step in (1, 2, 3):
        store.hold_best(build(step))
        store.save(build(step))
    store.discard_after(2)
    assert store.latest().name == "step-00000002"
    assert store.best() is None
