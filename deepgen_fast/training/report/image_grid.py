"""Pictures of batches of images."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def image_grid(images: Tensor, columns: int | None = None, padding: int = 2) -> np.ndarray:
    """Lay images out on a black grid, row by row.

    Args:
        images: ``[N, H, W]``, ``[N, 1, H, W]`` or ``[N, 3, H, W]``; values are clamped to [0, 1].
        columns: of the grid; as square as possible when None.
        padding: pixels around each image.

    Returns:
        uint8 ``[rows, columns]`` for gray images, ``[rows, columns, 3]`` for color.

    Raises:
        ValueError: for another shape, or no images.
    """
    if images.dim() == 3:
        images = images.unsqueeze(1)
    if images.dim() != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images: expected [N, H, W], [N, 1, H, W] or [N, 3, H, W], got {list(images.shape)}")
    if padding < 0:
        raise ValueError(f"padding: expected 0 or more, got {padding}")
    count, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    pixels = images.detach().to("cpu", torch.float32).clamp(0, 1).mul(255).round().to(torch.uint8)
    cell_height, cell_width = height + padding, width + padding
    grid = np.zeros((rows * cell_height + padding, columns * cell_width + padding, channels), dtype=np.uint8)
    for index, image in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        top = padding + index // columns * cell_height
        left = padding + index % columns * cell_width
        grid[top : top + height, left : left + width] = image
    return grid[..., 0] if channels == 1 else grid


def save_image_grid(images: Tensor, path: str | Path, columns: int | None = None, padding: int = 2) -> None:
    """Write ``image_grid`` as a PNG file.

    Raises:
        ValueError: for images that ``image_grid`` refuses.
    """
    from PIL import Image

    Image.fromarray(image_grid(images, columns, padding)).save(path, format="PNG", compress_level=1)
