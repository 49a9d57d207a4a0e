"""The loading code against stand-ins with torchvision's interface: no network, and torchvision need not be
there.
"""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from deepgen_fast.data import DataError, load_dataset


class TensorSet:
    """Like MNIST: uint8 ``.data``, ``train=``, ``download=``."""

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        if root.endswith("missing") and not download:
            raise RuntimeError("Dataset not found.")
        generator = torch.Generator().manual_seed(int(train))
        self.data = torch.randint(0, 256, (20 if train else 5, 4, 4), dtype=torch.uint8, generator=generator)
        self.targets = torch.arange(len(self.data)) % 2

    def __len__(self):
        return len(self.data)


class ArraySet(TensorSet):
    """Like CIFAR10: channels-last NumPy ``.data``, list ``.targets``."""

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, train, download=download)
        self.data = self.data.unsqueeze(3).expand(-1, -1, -1, 3).numpy()
        self.targets = self.targets.tolist()


class PictureSet:
    """Like Flowers102: PIL images one by one, ``split=``."""

    sizes = ((4, 4),)

    def __init__(self, root, split="train", transform=None, target_transform=None, download=False):
        self.count = 6 if split == "train" else 3

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        height, width = self.sizes[index % len(self.sizes)]
        return Image.fromarray(np.full((height, width, 3), index, dtype=np.uint8)), index


class LSUN(TensorSet):
    """Unpickles what lies in its folder."""

    def __init__(self, root, **options):
        raise AssertionError("its code was run")


class NeedsMore(TensorSet):
    def __init__(self, root, loader):
        """Like DatasetFolder."""


class MixedSizes(PictureSet):
    sizes = ((4, 4), (4, 5))


@pytest.fixture(autouse=True)
def torchvision(monkeypatch):
    package, datasets = ModuleType("torchvision"), ModuleType("torchvision.datasets")
    for kind in (TensorSet, ArraySet, PictureSet, MixedSizes):
        setattr(datasets, kind.__name__, kind)
    package.datasets = datasets
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)


@pytest.mark.parametrize(("name", "channels"), [("TensorSet", 1), ("tensorset", 1), ("ArraySet", 3)])
def test_sets_that_hold_their_pixels(name, channels):
    splits = load_dataset(name, validation_fraction=0.2)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [16, 4, 5]
    assert splits.event_shape == (channels, 4, 4)
    expected = TensorSet("data", train=False).data.float() / 255
    assert torch.equal(splits.test.images[:, 0], expected)
    assert torch.bincount(splits.validation.labels).tolist() == [2, 2]


def test_sets_of_pictures():
    splits = load_dataset("PictureSet", validation_fraction=0.0)
    assert splits.train.images.shape == (6, 3, 4, 4)
    # A nearly black picture is not a binary one: bytes are always divided.
    assert splits.train.images[:, 0, 0, 0].tolist() == pytest.approx([index / 255 for index in range(6)])
    assert load_dataset("PictureSet", image_size=2).event_shape == (3, 2, 2)


def test_large_sets_are_read_when_asked_for():
    splits = load_dataset("PictureSet", in_memory_limit=100, validation_fraction=0.5)
    assert splits.train.images is None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (3, 3, 3)
    assert splits.train.event_shape == (3, 4, 4)


def test_wrong_names_and_sizes_are_named(monkeypatch):
    with pytest.raises(DataError, match="torchvision has no such data set; it has ArraySet, MixedSizes"):
        load_dataset("ImageNot")
    for kind in (LSUN, NeedsMore):
        monkeypatch.setattr(sys.modules["torchvision.datasets"], kind.__name__, kind, raising=False)
    for unpickling in ("LSUN", "lsun"):
        with pytest.raises(DataError, match="is not loaded, because torchvision unpickles"):
            load_dataset(unpickling)
    with pytest.raises(DataError, match=r"NeedsMore: torchvision could not load it from data: .*loader"):
        load_dataset("NeedsMore")
    with pytest.raises(DataError, match=r"image 1 has shape \[3, 4, 5\].*pass image_size"):
        load_dataset("MixedSizes")
    with pytest.raises(DataError, match=r"could not load it from missing: Dataset not found.*download=True"):
        load_dataset("TensorSet", root="missing")
    assert len(load_dataset("TensorSet", root="missing", download=True).test) == 5
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match="torchvision, which has more data sets, is not installed"):
        load_dataset("TensorSet")
