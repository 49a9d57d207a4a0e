"""Data in NumPy files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepgen_fast.data.checks import DataError, to_images
from deepgen_fast.data.splits import DatasetSplits, Split, split_whole

_WHOLE = ("images", "x", "X", "data", "arr_0")
_TRAIN = ("x_train", "X_train", "train_images", "train", "train_data")
_VALIDATION = ("x_validation", "x_val", "X_val", "val_images", "validation", "val")
_TEST = ("x_test", "X_test", "test_images", "test", "test_data")
_LABELS = {
    "whole": ("labels", "label", "y", "Y", "target", "targets"),
    "train": ("y_train", "Y_train", "train_labels", "labels_train"),
    "validation": ("y_validation", "y_val", "Y_val", "val_labels"),
    "test": ("y_test", "Y_test", "test_labels", "labels_test"),
}


def load_arrays(
    path: Path,
    *,
    values: str,
    image_shape: Sequence[int] | None,
    array_key: str | None,
    validation_fraction: float,
    test_fraction: float,
    split_seed: int,
) -> DatasetSplits:
    """Load an ``.npy`` or ``.npz`` file.

    An ``.npy`` file holds the examples. An ``.npz`` file holds them under ``array_key``, or under one of the
    usual names, or as its only array; or it comes divided, as ``x_train`` and ``x_test`` (and ``x_val``).
    Labels are found under the usual names (``y``, ``labels``, ``y_train``, ...). Pickled objects are refused.

    Raises:
        DataError: for a file that NumPy cannot read, pickled objects, no array that can be the examples,
            labels of another length, or anything ``to_images`` refuses.
    """
    arrays = _read(path)

    def images(key: str) -> Tensor:
        name = f"{path}[{key!r}]" if path.suffix == ".npz" else str(path)
        return to_images(_tensor(arrays[key], name), name=name, values=values, image_shape=image_shape)

    def split(key: str, part: str) -> Split:
        pixels = images(key)
        label_key = next((candidate for candidate in _LABELS[part] if candidate in arrays), None)
        if label_key is None:
            return Split(pixels)
        return Split(pixels, _labels(arrays[label_key], len(pixels), f"{path}[{label_key!r}]"))

    train_key = next((key for key in _TRAIN if key in arrays), None)
    if array_key is None and train_key is not None:
        keys = {
            part: next((key for key in names if key in arrays), None)
            for part, names in (("validation", _VALIDATION), ("test", _TEST))
        }
        found = {part: split(key, part) for part, key in keys.items() if key is not None}
        splits = DatasetSplits(str(path), split(train_key, "train"), found.get("validation"), found.get("test"))
        for part, other in found.items():
            if other.event_shape != splits.event_shape:
                raise DataError(
                    f"{path}: examples to train have shape {list(splits.event_shape)}, those of {part} "
                    f"{list(other.event_shape)}"
                )
        if splits.test is not None or test_fraction == 0.0:
            return splits
        parts = split_whole(
            str(path), splits.train, validation_fraction=0.0, test_fraction=test_fraction, split_seed=split_seed
        )
        return DatasetSplits(str(path), parts.train, splits.validation, parts.test)
    whole = split(_whole_key(arrays, array_key, path), "whole")
    return split_whole(
        str(path), whole, validation_fraction=validation_fraction, test_fraction=test_fraction, split_seed=split_seed
    )


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"array": loaded}
        with loaded:
            return {key: loaded[key] for key in loaded.files}
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise DataError(
                f"{path}: holds pickled Python objects (or is no NumPy file), which are not loaded because "
                "unpickling "
                "can run any code; save it again as an array of numbers"
            ) from error
        raise DataError(f"{path}: NumPy cannot read this file: {error}") from error
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: NumPy cannot read this file: {error}") from error


def _whole_key(arrays: Mapping[str, np.ndarray], array_key: str | None, path: Path) -> str:
    listing = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items()) or "nothing"
    if array_key is not None:
        if array_key not in arrays:
            raise DataError(f"{path}: no array {array_key!r}; the file holds {listing}")
        return array_key
    named = next((key for key in _WHOLE if key in arrays), None)
    if named is not None:
        return named
    candidates = [key for key, array in arrays.items() if array.ndim >= 2]
    if len(candidates) != 1:
        raise DataError(f"{path}: cannot tell which array holds the examples; pass array_key. The file holds {listing}")
    return candidates[0]


def _tensor(array: np.ndarray, name: str) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: expected an array of numbers, got dtype {array.dtype}")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    # Byte order and read-only memory are NumPy's affair; torch takes native, writable arrays.
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def _labels(array: np.ndarray, count: int, name: str) -> Tensor:
    flat = array.reshape(-1)
    if array.dtype.kind not in "biu" or flat.shape[0] != count:
        raise DataError(f"{name}: expected {count} integer labels, got dtype {array.dtype}, shape {list(array.shape)}")
    return torch.from_numpy(flat.astype(np.int64))
