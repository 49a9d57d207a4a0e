"""Images in memory brought to another size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.data.checks import DataError
from deepgen_fast.data.splits import DatasetSplits, Split

_AT_ONCE = 4096  # images, so that temporaries stay small


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """``images [N, C, H, W]`` at ``size``, (height, width): bilinear, antialiased; values stay in their range."""
    if tuple(images.shape[2:]) == size:
        return images
    parts = [
        F.interpolate(part, size, mode="bilinear", align_corners=False, antialias=True)
        for part in images.split(_AT_ONCE)
    ]
    return torch.cat(parts)


def resize_splits(splits: DatasetSplits, image_size: int | tuple[int, int] | None) -> DatasetSplits:
    """Every split in memory at ``image_size``, one number for both or (height, width); None leaves all as they are.

    Raises:
        DataError: for examples that are no images, or a size that is not positive.
    """
    if image_size is None:
        return splits
    size = (image_size, image_size) if isinstance(image_size, int) else (image_size[0], image_size[1])
    if min(size) < 1:
        raise DataError(f"image_size: expected positive numbers, got {image_size}")

    def resized(split: Split | None) -> Split | None:
        if split is None or split.images is None:
            return split
        if split.images.dim() != 4:
            raise DataError(
                f"image_size: {splits.name} has examples of shape {list(split.event_shape)}, no images [C, H, W]; "
                "image_shape says what a flat array holds"
            )
        return Split(resize(split.images, size), split.labels)

    train = resized(splits.train)
    assert train is not None
    return DatasetSplits(splits.name, train, resized(splits.validation), resized(splits.test))
