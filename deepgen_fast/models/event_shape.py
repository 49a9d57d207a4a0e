"""The shape of one example: who says it, and what it says."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def is_image(event_shape: Sequence[int]) -> bool:
    """Whether examples of this shape are pictures: ``(channels, height, width)``, gray or in color."""
    return len(event_shape) == 3 and event_shape[0] in (1, 3)


def check_pixel_batch(x: Tensor, event_shape: Sequence[int]) -> Tensor:
    """``x`` itself, a batch of examples.

    Raises:
        ValueError: when its shape is not ``[B, *event_shape]``.
        TypeError: when it is not floating point.
    """
    if x.dim() != len(event_shape) + 1 or tuple(x.shape[1:]) != tuple(event_shape):
        expected = ", ".join(map(str, event_shape))
        raise ValueError(f"x: expected shape [batch, {expected}], got {list(x.shape)}")
    if not x.is_floating_point():
        raise TypeError(f"x: expected a floating point tensor, got {x.dtype}; pixels are numbers in [0, 1]")
    return x


def agreed_event_shape(known: Sequence[int] | None, given: Sequence[int] | None) -> tuple[int, ...]:
    """The shape that a model's config says, or the data has.

    Raises:
        ValueError: when neither says one, or the two differ.
    """
    known = None if known is None else tuple(known)
    given = None if given is None else tuple(given)
    shape = known or given
    if shape is None:
        raise ValueError("event_shape: neither the model's config nor the data says what shape an example has")
    if known is not None and given is not None and known != given:
        raise ValueError(f"event_shape: the model's config says {known}, the data has {given}")
    return tuple(shape)
