"""Bits per dimension, the unit in which densities of images are compared."""

from __future__ import annotations

import math
from typing import TypeVar, cast

from torch import Tensor

from deepgen_fast.metrics.evaluation import check_positive

Value = TypeVar("Value", float, Tensor)


def bits_per_dimension(log_likelihood: Value, num_dimensions: int, *, bin_width: float | None = None) -> Value:
    """-log2 P(x) / D: the length of an ideal code of x, in bits a dimension (a pixel and channel).

    - Discrete data under a discrete likelihood (binary pixels, Bernoulli): `bin_width=None` gives
      `-log_likelihood / (D ln 2)`. A Bernoulli likelihood of gray values is not a probability of the data,
      and the number is then no code length.
    - 8-bit data under a density (Gaussian decoder): a level v stands for an interval, and
      `log P(v) = log p(x) + D log(bin_width)`, so the result is `-log_likelihood / (D ln 2) -
      log2(bin_width)`. Scaled to [0, 1] as v / 256: `bin_width=1/256`, which adds 8 bits; as v / 255:
      `1/255`; to [-1, 1]: `2/255`. With uniformly dequantized data this is a bound on the discrete code
      length (Theis, van den Oord, Bethge 2016, section 3.1); without dequantization a density can grow
      without limit on the few levels, so the number means little for a learned variance.
    - A density of continuous data: `bin_width=None` gives the differential quantity, which can be negative.

    Args:
        log_likelihood: log p(x) or a bound on it, in nats summed over the D dimensions: a float or any
            tensor.
        num_dimensions: D, pixels times channels.
        bin_width: width of one level of quantized data in the units of x; None for no correction.

    Returns:
        Bits a dimension, of log_likelihood's type and shape. A lower bound on log p(x) gives an upper
        bound.

    Raises:
        ValueError: num_dimensions is below 1, or bin_width is not a positive finite number.
    """
    check_positive("num_dimensions", num_dimensions)
    correction = 0.0
    if bin_width is not None:
        if not (math.isfinite(bin_width) and bin_width > 0):
            raise ValueError(f"bin_width: expected a positive finite number, got {bin_width}")
        correction = -math.log2(bin_width)
    return cast(Value, -log_likelihood / (num_dimensions * math.log(2)) + correction)
