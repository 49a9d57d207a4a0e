from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from deepgen_fast.training import Checkpoint, CheckpointError, CheckpointStore, read_checkpoint
from deepgen_fast.training.state import checkpoint, checkpoint_store


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
        "SHA256SUMS",
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


@pytest.mark.parametrize("prune", ["save", "discard_after", "write_best"])
@pytest.mark.parametrize("victim", ["before", "within", "rename"])
def test_a_crash_while_removing_leaves_no_half_checkpoint(tmp_path, monkeypatch, prune, victim):
    store = CheckpointStore(tmp_path, keep=2)
    for step in (1, 2):
        store.hold_best(build(step))
        store.save(build(step))
    rmtree, rename = shutil.rmtree, os.rename

    def half_removed(path, **options):
        if Path(path).is_dir():
            if victim == "within":
                next(Path(path).glob("*.safetensors")).unlink()
            raise Crash
        rmtree(path, **options)

    def no_rename(source, target):
        if victim == "rename" and ".removing" in str(target):
            raise Crash
        rename(source, target)

    monkeypatch.setattr(checkpoint_store.shutil, "rmtree", half_removed)
    monkeypatch.setattr(os, "rename", no_rename)
    store.hold_best(build(3))
    with pytest.raises(Crash):
        {"save": lambda: store.save(build(3)), "discard_after": lambda: store.discard_after(1)}.get(
            prune, store.write_best
        )()
    monkeypatch.undo()
    again = CheckpointStore(tmp_path, keep=2)
    for path in (*again.named("step"), *again.named("best")):
        read_checkpoint(path)
    assert again.latest() is not None
    for step in (3, 4, 5):  # over what was left of the same name
        again.hold_best(build(step))
        again.save(build(step))
    again.remove_unfinished()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best-00000005", "step-00000004", "step-00000005"]


def test_what_is_no_directory_is_removed_and_a_link_is_not_followed(tmp_path):
    store, outside = CheckpointStore(tmp_path / "run"), tmp_path / "outside"
    store.save(build(1))
    outside.mkdir()
    (outside / "state.json").write_text("{}")
    (tmp_path / "run" / "step-00000002").symlink_to(outside)
    (tmp_path / "run" / "step-00000003").write_text("")
    (tmp_path / "run" / ".removing-step-00000007").symlink_to(outside)
    store.discard_after(1)
    store.remove_unfinished()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["step-00000001"]
    assert (outside / "state.json").exists()


def test_checksums_are_those_of_sha256sum(tmp_path):
    path = CheckpointStore(tmp_path).save(build(1))
    lines = (path / "SHA256SUMS").read_text().splitlines()
    assert lines == [
        f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}"
        for name in ("ema.safetensors", "model.safetensors", "state.json", "training.safetensors")
    ]


def test_a_checkpoint_is_found_by_what_it_is_called(tmp_path):
    store = CheckpointStore(tmp_path)
    assert (store.find("best"), store.find("last")) == (None, None)
    store.hold_best(build(1))
    store.save(build(1))
    store.save(build(2))
    best, first, last = (tmp_path / name for name in ("best-00000001", "step-00000001", "step-00000002"))
    assert [store.find(name) for name in ("best", "last", "step-00000001", first)] == [best, last, first, first]
    assert store.find("elsewhere/step-00000001") == Path("elsewhere/step-00000001")


def test_later_checkpoints_are_discarded(tmp_path):
    store = CheckpointStore(tmp_path, keep=5)
    for step in (1, 2, 3):
        store.hold_best(build(step))
        store.save(build(step))
    store.discard_after(2)
    assert store.latest().name == "step-00000002"
    assert store.best() is None
