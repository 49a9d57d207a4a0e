"""What every objective asks of the weights of its terms."""

from __future__ import annotations

import math


def check_weights(**weights: float) -> None:
    """Check that weights, by the names of their arguments, are finite and at least 0.

    Raises:
        ValueError: naming the first that is not.
    """
    for name, value in weights.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}: expected a finite number of at least 0, got {value}")
