"""torchvision's data sets by name, where torchvision is installed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from deepgen_fast.data.checks import DataError, to_images
from deepgen_fast.data.splits import DatasetSplits, Split

#: Those that unpickle a file from their folder without a checksum of it: it could run any code.
_UNPICKLING = frozenset({"LSUN", "LSUNClass"})


class SingleImages(Dataset[Tensor]):
    """The images alone of a data set of ``(image, label)``: item i is float32 ``[C, H, W]`` in [0, 1].

    Args:
        dataset: yields ``(image, ...)`` or ``image``, a PIL image, a uint8 array or a tensor.
        size: ``(height, width)`` to resize PIL images to; None keeps their size.
    """

    def __init__(self, dataset: Any, size: tuple[int, int] | None = None) -> None:
        self.dataset = dataset
        self.size = size

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Tensor:
        item = self.dataset[index]
        image = item[0] if isinstance(item, tuple | list) else item
        if not isinstance(image, Tensor | np.ndarray):
            image = image.convert("L" if image.mode in ("1", "L") else "RGB")
            if self.size is not None:
                image = image.resize((self.size[1], self.size[0]))
        pixels = image if isinstance(image, Tensor) else torch.from_numpy(np.array(image))
        return to_images(pixels.unsqueeze(0), name=f"example {index}", values=_values(pixels))[0]


def _values(pixels: Tensor) -> str:
    # torchvision's integers are always bytes: a nearly black image is not a binary one.
    return "unit" if pixels.is_floating_point() else "byte"


def load_torchvision(
    name: str, *, root: Path, download: bool, image_size: int | tuple[int, int] | None, in_memory_limit: int
) -> DatasetSplits:
    """Load ``torchvision.datasets.<name>``, its own training and test parts.

    Data sets that hold all their pixels in ``.data`` (MNIST, CIFAR10, SVHN, ...) come as tensors; others are
    read image by image.

    Args:
        name: class name, in any case.
        root: where the files lie, or are downloaded to.
        download: whether to download missing files. Off by default: a command should not use the network
            unasked.
        image_size: to resize images to, for data sets read image by image.
        in_memory_limit: bytes; larger data is read when asked for.

    Raises:
        DataError: when torchvision is not installed, has no such data set, or cannot load it.
    """
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError(
            f"{name}: neither a data set of deepgen_fast, nor a file or folder; torchvision, which has more "
            "data sets, "
            "is not installed (pip install torchvision)"
        ) from error
    known = {key.lower(): key for key in dir(datasets) if inspect.isclass(getattr(datasets, key))}
    if name.lower() not in known:
        raise DataError(f"{name}: torchvision has no such data set; it has {', '.join(sorted(known.values()))}")
    if known[name.lower()] in _UNPICKLING:
        raise DataError(
            f"{name}: is not loaded, because torchvision unpickles a file in its folder, which can run any code"
        )
    factory = getattr(datasets, known[name.lower()])
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    train = _split(_construct(factory, root, download, True), name, size, in_memory_limit)
    test_set = _construct(factory, root, download, False)
    test = None if test_set is None else _split(test_set, name, size, in_memory_limit)
    return DatasetSplits(known[name.lower()], train, None, test)


def _construct(factory: Any, root: Path, download: bool, train: bool) -> Any:
    parameters = inspect.signature(factory.__init__).parameters
    arguments: dict[str, Any] = {}
    if "train" in parameters:
        arguments["train"] = train
    elif "split" in parameters:
        arguments["split"] = "train" if train else "test"
    elif not train:
        return None
    if "download" in parameters:
        arguments["download"] = download
    try:
        return factory(str(root), **arguments)
    except (RuntimeError, OSError, ValueError, TypeError, ImportError) as error:
        advice = "" if download else " (load_dataset(..., download=True) fetches missing files)"
        raise DataError(f"{factory.__name__}: torchvision could not load it from {root}: {error}{advice}") from error


def _split(dataset: Any, name: str, size: tuple[int, int] | None, in_memory_limit: int) -> Split:
    labels = _labels(dataset)
    data = getattr(dataset, "data", None)
    if isinstance(data, Tensor | np.ndarray) and size is None:
        pixels = data if isinstance(data, Tensor) else torch.from_numpy(data)
        if 4 * pixels.numel() <= in_memory_limit:
            return Split(to_images(pixels, name=name, values=_values(pixels)), labels)
    images = SingleImages(dataset, size)
    example = images[0]
    if 4 * len(images) * example.numel() > in_memory_limit:
        return Split(None, labels, images)
    loaded = torch.empty(len(images), *example.shape)
    for index in range(len(images)):
        image = images[index]
        if image.shape != example.shape:
            raise DataError(
                f"{name}: image {index} has shape {list(image.shape)}, the first {list(example.shape)}; "
                "pass image_size to resize all"
            )
        loaded[index] = image
    return Split(loaded, labels)


def _labels(dataset: Any) -> Tensor | None:
    for attribute in ("targets", "labels"):
        values = getattr(dataset, attribute, None)
        if values is not None:
            labels = torch.as_tensor(values)
            if labels.dim() == 1 and len(labels) == len(dataset):
                return labels.to(torch.int64)
    return None
