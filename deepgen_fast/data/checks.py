"""Checks of data before training starts: shapes, finite values, the range of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

VALUES = ("unit", "byte", "any")


class DataError(ValueError):
    """The data cannot be used; the message says what is wrong with which file or array and what to do."""


def to_images(array: Tensor, *, name: str, values: str = "unit", image_shape: Sequence[int] | None = None) -> Tensor:
    """Turn an array of examples into float32 ``[N, *event]``, checked.

    Args:
        array: ``[N, D]``, ``[N, H, W]``, ``[N, C, H, W]`` or ``[N, H, W, C]`` of any real dtype.
        name: what the array is, for messages.
        values: what the numbers are.
            ``"unit"``: floats are pixels in [0, 1]; integers are pixels from 0 to 255, divided by 255 here,
            unless none exceeds 1: then they are binary pixels.
            ``"byte"``: floats and integers are pixels from 0 to 255, divided by 255 here.
            ``"any"``: any finite numbers, taken as they are. Booleans always become 0 and 1.
        image_shape: shape of one example where the array does not say, such as ``(1, 28, 28)`` for ``[N,
            784]``.

    Raises:
        DataError: for an empty array, a shape that is none of the above, NaN or infinity, or pixels out of
            range.
        ValueError: for unknown ``values``.
    """
    if values not in VALUES:
        raise ValueError(f"values: expected one of {', '.join(VALUES)}, got {values!r}")
    if array.is_complex():
        raise DataError(f"{name}: expected real numbers, got {array.dtype}")
    shaped = _shape(array, name, image_shape)
    is_integer = not shaped.is_floating_point() and shaped.dtype != torch.bool
    is_bytes = values == "byte" or (values == "unit" and is_integer and bool((shaped > 1).any()))
    images = shaped if is_integer else shaped.to(torch.float32)
    check_range(images, name=name, values=values)
    images = images.to(torch.float32)
    if is_bytes:
        images = images / 255.0
    if not images.is_contiguous():
        images = images.contiguous()
    return images


def check_range(array: Tensor, *, name: str, values: str) -> None:
    """Check the numbers alone; ``to_images`` tells what ``values`` means.

    Raises:
        DataError: for NaN or infinity, or pixels out of range.
    """
    if array.dtype == torch.bool:
        return
    low, high = (bound.item() for bound in torch.aminmax(array))
    if array.is_floating_point():
        # aminmax hands on NaN, and infinity is an extreme.
        if not (-float("inf") < low and high < float("inf")):
            bad = ~torch.isfinite(array)
            first = int(bad.flatten(1).any(1).nonzero()[0])
            raise DataError(f"{name}: {int(bad.sum())} values are NaN or infinite, the first in example {first}")
        limit = {"unit": 1.0, "byte": 255.0}.get(values)
    else:
        limit = None if values == "any" else 255.0
    if limit is not None and (low < 0 or high > limit):
        advice = {"unit": "divide by 255 or pass values='byte' if these are bytes", "byte": "these are not bytes"}[
            values
        ]
        raise DataError(
            f"{name}: pixels out of range: expected {limit:g} at most and 0 at least, got {low:g} to "
            f"{high:g}; "
            f"{advice}, or pass values='any' with a Gaussian likelihood"
        )


def check_pixels(images: Tensor, *, name: str) -> None:
    """Check that these are pixels to compute with: uint8, or finite floating point numbers.

    Raises:
        DataError: naming the dtype, or the first example that is not finite.
    """
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point():
        raise DataError(f"{name}: expected floating point or uint8 pixels, got {images.dtype}")
    check_range(images, name=name, values="any")


def check_unit_range(images: Tensor, *, name: str, who: str, otherwise: str) -> None:
    """Check that every value lies in [0, 1].

    Args:
        images: any shape.
        name: what the images are, for messages.
        who: needs that, such as ``"a Bernoulli likelihood"``.
        otherwise: the setting that takes other values, such as ``"likelihood='gaussian'"``.

    Raises:
        DataError: naming the range found.
    """
    low, high = (bound.item() for bound in torch.aminmax(images))
    if not (low >= 0.0 and high <= 1.0):
        raise DataError(
            f"{name}: {who} needs values in [0, 1], got {low:g} to {high:g}; use {otherwise} or scale the data"
        )


def check_binary_range(images: Tensor, *, name: str) -> None:
    """``check_unit_range`` for a Bernoulli likelihood."""
    check_unit_range(images, name=name, who="a Bernoulli likelihood", otherwise="likelihood='gaussian'")


def _shape(array: Tensor, name: str, image_shape: Sequence[int] | None) -> Tensor:
    got = list(array.shape)
    if array.dim() < 2 or array.dim() > 4:
        raise DataError(f"{name}: expected shape [N, D], [N, H, W], [N, C, H, W] or [N, H, W, C], got {got}")
    if array.numel() == 0:
        raise DataError(f"{name}: no examples, shape {got}")
    if image_shape is not None:
        wanted = tuple(image_shape)
        if torch.Size(wanted).numel() != array[0].numel():
            raise DataError(f"{name}: examples of shape {got[1:]} do not fit image_shape {list(wanted)}")
        return array.reshape(-1, *wanted)
    if array.dim() == 3:
        return array.unsqueeze(1)
    if array.dim() == 4 and array.shape[1] not in (1, 3):
        # Four channels are rarer than one or three: with those last, four rows are rows.
        if array.shape[3] in (1, 3) or (array.shape[3] == 4 and array.shape[1] != 4):
            return array.permute(0, 3, 1, 2)
        if array.shape[1] != 4:
            raise DataError(
                f"{name}: neither dimension 1 nor dimension 3 of {got} is a number of channels (1, 3 or 4); "
                "pass image_shape=(channels, height, width)"
            )
    return array
