"""What a run shows of its model as it trains."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor

from deepgen_fast.example import Example, event_of
from deepgen_fast.models.event_shape import is_image

#: By name: images ``[n, C, H, W]`` and the columns of their grid, or a text.
Previews: TypeAlias = dict[str, tuple[Tensor, int] | str]

_ROWS = 8


def image_previews(model: Any, generator: torch.Generator, examples: Example | None = None) -> Previews:
    """Samples of a VAE, a column for each class where there are some, and held-out images above their reconstructions;
    nothing where the events are no images.

    Args:
        model: a ``VAE``.
        generator: decides the samples, on the device of the model's parameters.
        examples: a few held-out ones, as the model is called with them; None where there are none.
    """
    if not is_image(model.event_shape):
        return {}
    columns = model.num_conditions or _ROWS
    shown: Previews = {"samples": (model.sample(_ROWS * columns, generator=generator), columns)}
    if examples is not None:
        x = event_of(examples)
        shown["reconstructions"] = (torch.cat([x, model.reconstruct(examples)]), len(x))
    return shown
