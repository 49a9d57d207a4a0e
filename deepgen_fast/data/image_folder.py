"""A folder of image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from deepgen_fast.data.checks import DataError
from deepgen_fast.data.splits import Split

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MODES = {"L": 1, "RGB": 3}


class ImageFiles(Dataset[Tensor]):
    """Images read when asked for: item i is float32 ``[C, H, W]`` in [0, 1].

    Args:
        paths: image files.
        mode: ``"L"`` (gray, one channel) or ``"RGB"``.
        size: ``(height, width)``.
        resize: whether to resize images of another size (bicubic, antialiased) or to refuse them.
    """

    def __init__(self, paths: list[Path], mode: str, size: tuple[int, int], resize: bool) -> None:
        self.paths = paths
        self.mode = mode
        self.size = size
        self.resize = resize

    def __len__(self) -> int:
        return len(self.paths)

    def pixels(self, index: int) -> np.ndarray:
        """Image ``index`` as uint8 ``[H, W(, 3)]``.

        Raises:
            DataError: for a file that is no image, or an image of another size when not resizing.
        """
        image = _open(self.paths[index])
        height, width = self.size
        if image.size != (width, height):
            if not self.resize:
                raise DataError(
                    f"{self.paths[index]}: {image.size[1]}x{image.size[0]} pixels (height x width), where "
                    "the folder's "
                    f"first image has {height}x{width}; pass image_size to resize all"
                )
            from PIL import Image

            image = image.convert(self.mode).resize((width, height), Image.Resampling.BICUBIC)
        return np.array(image.convert(self.mode))

    def __getitem__(self, index: int) -> Tensor:
        pixels = torch.from_numpy(self.pixels(index)).to(torch.float32) / 255.0
        return pixels.unsqueeze(0) if pixels.dim() == 2 else pixels.permute(2, 0, 1).contiguous()


def _open(path: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(path)
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: not an image that can be read: {error}") from error
    return image


def load_image_folder(
    folder: Path, *, image_size: int | tuple[int, int] | None, image_mode: str | None, in_memory_limit: int
) -> Split:
    """All images under a folder, in the order of their paths.

    Where every image lies in a subfolder, the subfolders' names in alphabetical order are the labels.

    Args:
        folder: searched recursively for the usual extensions.
        image_size: ``(height, width)``, or one number for both, to resize to; None keeps sizes, which must
            agree.
        image_mode: ``"L"`` or ``"RGB"``; None takes gray when the first image is gray.
        in_memory_limit: bytes; where the images as float32 need more, they are read when asked for.

    Raises:
        DataError: for a folder without images, a file that is no image, or images of different sizes.
    """
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise DataError(f"{folder}: reading images needs the package pillow: pip install pillow") from error
    if image_mode is not None and image_mode not in MODES:
        raise DataError(f"image_mode: expected 'L' or 'RGB', got {image_mode!r}")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not paths:
        raise DataError(f"{folder}: no images (looked for {', '.join(EXTENSIONS)}, also in subfolders)")
    first = _open(paths[0])
    mode = image_mode or ("L" if first.mode in ("1", "L", "I", "I;16", "F") else "RGB")
    if isinstance(image_size, int):
        image_size = (image_size, image_size)
    if image_size is not None and min(image_size) < 1:
        raise DataError(f"image_size: expected positive numbers, got {image_size}")
    size = image_size or (first.size[1], first.size[0])
    files = ImageFiles(paths, mode, size, resize=image_size is not None)
    labels = _labels(folder, paths)
    if 4 * len(paths) * MODES[mode] * size[0] * size[1] > in_memory_limit:
        return Split(None, labels, files)
    images = torch.empty(len(paths), MODES[mode], *size)
    for index in range(len(paths)):
        images[index] = files[index]
    return Split(images, labels)


def _labels(folder: Path, paths: list[Path]) -> Tensor | None:
    names = [path.relative_to(folder).parts[0] for path in paths]
    if any(path.parent == folder for path in paths):
        return None
    classes = {name: index for index, name in enumerate(sorted(set(names)))}
    return torch.tensor([classes[name] for name in names], dtype=torch.int64)
