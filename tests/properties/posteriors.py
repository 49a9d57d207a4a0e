"""Arguments of the posterior and the prior, as reparameterize_kl and negative_elbo take them."""

from __future__ import annotations

import torch
from contract.cases import SCALE_FORMS
from hypothesis import strategies as st

from properties.operands import Operand, operands, repeats


@st.composite
def posteriors(draw: st.DrawFn, shape: tuple[int, ...], dtype: torch.dtype, regime: str) -> dict[str, Operand]:
    """mean, one form of the scale, and now and then a prior."""
    form = draw(st.sampled_from(SCALE_FORMS))
    positive = "positive" if form == "std" else ""
    scale_shape = shape if draw(st.integers(0, 3)) else draw(repeats(shape).filter(len))
    found = {"mean": draw(operands(shape, dtype, regime)), form: draw(operands(scale_shape, dtype, regime, positive))}
    for name in ("prior_mean", "prior_logvar"):
        if draw(st.integers(0, 2)) == 2:
            found[name] = draw(operands(draw(repeats(shape)), dtype, regime))
    return found
