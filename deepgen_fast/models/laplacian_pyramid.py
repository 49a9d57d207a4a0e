"""The Laplacian pyramid of Burt and Adelson, "The Laplacian pyramid as a compact image code", 1983.

Images of one size are taken apart into bands of detail, an octave apart, and a small image that is left; added up again
they give the images back. ``down`` is the paper's d, ``up`` its u, and a band is

    h_k = I_k - u(I_(k+1)),  I_(k+1) = d(I_k),

so that I_k = u(I_(k+1)) + h_k whatever d and u are: what an image loses on the way down is in its bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

# (1, 2, 1) twice: the smallest kernel that gives every pixel of the larger image the same weight in the smaller one.
_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


def down(images: Tensor) -> Tensor:
    """Half the size: a blur by the binomial kernel of 5 taps, then every other row and column.

    Pixels at the border are repeated outwards, so that a flat image stays flat.

    Args:
        images: ``[B, C, H, W]``, floating point.

    Returns:
        ``[B, C, H / 2, W / 2]``.

    Raises:
        ValueError: for another shape, or a height or width that is not even.
    """
    check_images(images, halvings=1)
    batch, channels, height, width = images.shape
    flat = F.pad(images.reshape(batch * channels, 1, height, width), (2, 2, 2, 2), mode="replicate")
    return F.conv2d(flat, _kernel(images), stride=2).view(batch, channels, height // 2, width // 2)


def up(images: Tensor) -> Tensor:
    """Twice the size: zeros between rows and columns, then a blur by 4 times the kernel of ``down``.

    Args:
        images: ``[B, C, H, W]``, floating point.

    Returns:
        ``[B, C, 2H, 2W]``.

    Raises:
        ValueError: for another shape.
    """
    check_images(images, halvings=0)
    batch, channels, height, width = images.shape
    flat = F.pad(images.reshape(batch * channels, 1, height, width), (1, 1, 1, 1), mode="replicate")
    # The padding takes away what the repeated border itself became.
    larger = F.conv_transpose2d(flat, 4.0 * _kernel(images), stride=2, padding=4, output_padding=1)
    return larger.view(batch, channels, 2 * height, 2 * width)


def band(image: Tensor, coarser: Tensor) -> tuple[Tensor, Tensor]:
    """(h_k, l_k): the detail that ``coarser [B, C, H/2, W/2]`` lacks of ``image [B, C, H, W]``, and l_k = u(coarser),
    the blurred image that it belongs to."""
    low = up(coarser)
    return image - low, low


def gaussian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """``levels`` images I_0 = ``images [B, C, H, W]``, I_1 = d(I_0), ...: the finest first.

    Raises:
        ValueError: naming the size that does not halve so often, or levels below 1.
    """
    check_images(images, halvings=levels - 1)
    pyramid = [images]
    for _ in range(levels - 1):
        pyramid.append(down(pyramid[-1]))
    return pyramid


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """The bands h_0, h_1, ... of ``images [B, C, H, W]`` and the small image that is left: ``levels`` tensors.

    Raises:
        ValueError: as ``gaussian_pyramid``.
    """
    pyramid = gaussian_pyramid(images, levels)
    return [*(band(image, coarser)[0] for image, coarser in pairwise(pyramid)), pyramid[-1]]


def reconstruct(pyramid: Sequence[Tensor]) -> Tensor:
    """The images that a Laplacian pyramid was made of, to rounding: I_k = u(I_(k+1)) + h_k, from the coarsest on."""
    image = pyramid[-1]
    for detail in reversed(pyramid[:-1]):
        image = up(image) + detail
    return image


def check_images(images: Tensor, halvings: int) -> None:
    """Check for ``[B, C, H, W]`` of a floating dtype, and ``check_halves``.

    Raises:
        ValueError: naming what is not so.
    """
    if images.dim() != 4 or not images.is_floating_point():
        raise ValueError(
            f"images: expected floating point [B, C, H, W], got {images.dtype} of shape {list(images.shape)}"
        )
    check_halves("images", images.shape[2:], halvings)


def check_halves(name: str, size: Sequence[int], times: int) -> None:
    """Check that images of ``size``, (height, width), can be halved so many times.

    Raises:
        ValueError: naming the size that cannot, or a negative number of times.
    """
    if times < 0:
        raise ValueError(f"levels: expected at least 1, got {times + 1}")
    for what, side in zip(("height", "width"), size, strict=True):
        if side < 1 or side % 2**times:
            raise ValueError(
                f"{name}: a {what} of {side} pixels cannot be halved {times} times; expected a multiple of {2**times}"
            )


def _kernel(like: Tensor) -> Tensor:
    taps = torch.tensor(_BINOMIAL, dtype=like.dtype, device=like.device) / 16.0
    return torch.outer(taps, taps)[None, None]
