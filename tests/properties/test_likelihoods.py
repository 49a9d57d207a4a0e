"""The likelihoods: any output, target, mask and variance, with and without samples."""

from __future__ import annotations

import torch
from contract.cases import REDUCTIONS
from hypothesis import given
from hypothesis import strategies as st

from properties.agreement import Call, check
from properties.operands import Operand, dtypes, incoming, operands, regimes, repeats, row_shapes


@st.composite
def targets(draw: st.DrawFn, shape: tuple[int, ...], dtype: torch.dtype, regime: str, probability: bool) -> Operand:
    """Of the output's dtype, float32, or bytes."""
    kind = draw(st.sampled_from([dtype, dtype, torch.float32, torch.uint8, torch.bool]))
    return draw(operands(shape, kind, regime, "unit interval" if probability else ""))


@st.composite
def calls(draw: st.DrawFn, op: str, output: str) -> Call:
    dtype, regime = draw(dtypes), draw(regimes)
    shape = draw(row_shapes())
    samples = draw(st.sampled_from([None, None, 1, 2]))
    # A sample dimension is one where the output has an event: [2, 4] against [4] is refused as ambiguous.
    whole = shape if samples is None or len(shape) == 1 else (samples, *shape)
    given = {
        output: draw(operands(whole, dtype, regime)),
        "target": draw(targets(shape, dtype, regime, output == "logits")),
    }
    if draw(st.integers(0, 2)) == 2:
        given["mask"] = draw(operands(draw(repeats(whole)), torch.bool))
    if op == "gaussian_log_likelihood" and draw(st.booleans()):
        given["logvar"] = draw(operands(draw(repeats(whole, scalar=True)), dtype, regime))
    options = {"reduction": draw(st.sampled_from(REDUCTIONS))}
    floating = [name for name, operand in given.items() if operand.dtype.is_floating_point]
    differentiable = tuple(name for name in floating if draw(st.integers(0, 3)))
    return Call(op, given, options, differentiable, draw(incoming))


@given(calls("bernoulli_log_likelihood", "logits"))
def test_bernoulli(call: Call) -> None:
    check(call)


@given(calls("gaussian_log_likelihood", "mean"))
def test_gaussian(call: Call) -> None:
    check(call)
