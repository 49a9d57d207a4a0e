from __future__ import annotations

import numpy as np
import pytest
import torch

from deepgen_fast.data import DataError, load_dataset


@pytest.fixture
def pixels():
    return np.random.default_rng(0).random((40, 6, 5), dtype=np.float32)


def test_npy(tmp_path, pixels):
    np.save(tmp_path / "x.npy", pixels)
    splits = load_dataset(tmp_path / "x.npy", validation_fraction=0.25, test_fraction=0.25)
    assert splits.event_shape == (1, 6, 5)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [20, 10, 10]
    together = torch.cat([splits.train.images, splits.validation.images, splits.test.images])
    assert torch.equal(
        together.flatten(1).sum(1).sort().values, torch.from_numpy(pixels).flatten(1).sum(1).sort().values
    )


def test_npz_finds_examples_and_labels(tmp_path, pixels):
    labels = np.arange(40) % 2
    np.savez(tmp_path / "x.npz", images=pixels, y=labels, weights=np.ones((3, 3)))
    splits = load_dataset(tmp_path / "x.npz")
    assert torch.bincount(splits.test.labels).tolist() == [2, 2]


def test_npz_divided_by_its_author(tmp_path, pixels):
    np.savez(tmp_path / "x.npz", x_train=pixels[:30], x_test=pixels[30:], y_train=np.arange(30), y_test=np.arange(10))
    splits = load_dataset(tmp_path / "x.npz", validation_fraction=0.0)
    assert torch.equal(splits.train.images, torch.from_numpy(pixels[:30, None]))
    assert torch.equal(splits.test.images, torch.from_numpy(pixels[30:, None]))
    assert splits.validation is None
    assert len(load_dataset(tmp_path / "x.npz", validation_fraction=0.1).validation) == 3


def test_a_missing_test_set_is_divided_off(tmp_path, pixels):
    np.savez(tmp_path / "x.npz", x_train=pixels)
    splits = load_dataset(tmp_path / "x.npz", validation_fraction=0.0, test_fraction=0.25)
    assert (len(splits.train), len(splits.test)) == (30, 10)


def test_array_key_chooses(tmp_path, pixels):
    np.savez(tmp_path / "x.npz", a=pixels, b=pixels[:, :2])
    assert load_dataset(tmp_path / "x.npz", array_key="b").event_shape == (1, 2, 5)
    with pytest.raises(DataError, match=r"pass array_key\. The file holds a \[40, 6, 5\], b \[40, 2, 5\]"):
        load_dataset(tmp_path / "x.npz")
    with pytest.raises(DataError, match="no array 'c'; the file holds a"):
        load_dataset(tmp_path / "x.npz", array_key="c")


@pytest.mark.parametrize("dtype", [">f4", "f8", "f2", "u1", "u2", "i4", "?", "longdouble"])
def test_every_kind_of_number(tmp_path, dtype):
    np.save(tmp_path / "x.npy", np.array([[0, 1], [1, 0]] * 5).astype(dtype))
    splits = load_dataset(tmp_path / "x.npy", validation_fraction=0.0, test_fraction=0.0)
    assert splits.train.images.tolist() == [[0.0, 1.0], [1.0, 0.0]] * 5


class Trap:
    """Unpickling this would raise: proof that nothing is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_pickles_are_refused(tmp_path, name):
    array = np.array([Trap(), Trap()], dtype=object)
    if name.endswith("npy"):
        np.save(tmp_path / name, array, allow_pickle=True)
    else:
        np.savez(tmp_path / name, images=array)
    with pytest.raises(DataError, match="pickled Python objects"):
        load_dataset(tmp_path / name)


def test_damaged_files_are_named(tmp_path, pixels):
    np.savez(tmp_path / "whole.npz", images=pixels)
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npy").write_bytes(b"")
    for name in ("cut.npz", "empty.npy"):
        with pytest.raises(DataError, match=f"{name}: NumPy cannot read this file"):
            load_dataset(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((4, 2)), "y": np.zeros(3, int)}, r"\['y'\]: expected 4 integer labels"),
        ({"images": np.zeros((4, 2)), "y": np.zeros(4)}, r"\['y'\]: expected 4 integer labels, got dtype float64"),
        ({"x_train": np.zeros((4, 2)), "x_test": np.zeros((4, 3))}, r"train have shape \[2\], those of test \[3\]"),
        ({"images": np.array([["a", "b"]])}, "expected an array of numbers, got dtype <U1"),
        ({"images": np.full((4, 2), np.nan)}, r"\['images'\]: 8 values are NaN"),
        ({"images": np.full((4, 2), 7.5)}, "pixels out of range"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / "x.npz")


def test_wrong_paths_are_named(tmp_path):
    (tmp_path / "notes.pdf").write_text("no data")
    for name, message in (
        ("missing.npz", "missing.npz: no such file"),
        ("nowhere/at/all", "no such file or folder"),
        ("notes.pdf", "is no .npz, .npy or .txt file and no folder of images"),
    ):
        with pytest.raises(DataError, match=message):
            load_dataset(tmp_path / name)


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match=r"test_fraction: expected a number in \[0, 1\), got 1.5"):
        load_dataset("mnist5k", test_fraction=1.5)
    with pytest.raises(ValueError, match="values: expected one of"):
        load_dataset("mnist5k", values="bits")
