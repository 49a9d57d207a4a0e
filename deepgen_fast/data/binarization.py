"""Gray pixels to binary ones, for Bernoulli likelihoods."""

from __future__ import annotations

import torch
from torch import Tensor

MODES = ("none", "threshold", "stochastic")


def binarize(x: Tensor, mode: str = "none", generator: torch.Generator | None = None) -> Tensor:
    """Make pixels binary.

    Args:
        x: any shape, values in [0, 1].
        mode: ``"none"`` returns ``x`` itself; ``"threshold"`` gives 1 where x >= 0.5; ``"stochastic"`` draws
            each pixel with probability x, anew at every call (Salakhutdinov and Murray 2008).
        generator: for ``"stochastic"``, on the device of ``x``.

    Returns:
        Zeros and ones of the shape and dtype of ``x``.

    Raises:
        ValueError: for an unknown mode.
    """
    if mode == "none":
        return x
    if mode == "threshold":
        return (x >= 0.5).to(x.dtype)
    if mode == "stochastic":
        return torch.bernoulli(x, generator=generator)
    raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
