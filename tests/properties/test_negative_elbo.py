"""negative_elbo: any likelihood, posterior, prior, beta and free bits."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from properties.agreement import Call, check
from properties.operands import dtypes, incoming, operands, regimes, repeats, row_shapes
from properties.posteriors import posteriors
from properties.test_likelihoods import targets


@st.composite
def calls(draw: st.DrawFn) -> Call:
    dtype, regime = draw(dtypes), draw(regimes)
    shape = draw(row_shapes())
    samples = draw(st.sampled_from([None, None, 1, 2]))
    whole = shape if samples is None or len(shape) == 1 else (samples, *shape)
    likelihood = draw(st.sampled_from(["bernoulli", "gaussian"]))
    given = {
        "decoder_output": draw(operands(whole, dtype, regime)),
        "target": draw(targets(shape, dtype, regime, likelihood == "bernoulli")),
    }
    if draw(st.integers(0, 2)) == 2:
        given["mask"] = draw(operands(draw(repeats(whole)), torch.bool))
    if likelihood == "gaussian" and draw(st.booleans()):
        given["likelihood_logvar"] = draw(operands(draw(repeats(whole, scalar=True)), dtype, regime))
    latent = draw(st.lists(st.sampled_from([1, 2, 5, 16, 33]), max_size=2))
    given |= draw(posteriors((shape[0], *latent), dtype, regime))
    options = {
        "likelihood": likelihood,
        "beta": draw(st.sampled_from([1.0, 1.0, 0.0, 0.3, 4.0])),
        "reduction": draw(st.sampled_from(["mean", "sum", "sample"])),
    }
    if options["reduction"] != "sample":
        options["free_bits"] = draw(st.sampled_from([0.0, 0.0, 0.25, 2.0]))
    trained = [name for name, operand in given.items() if operand.dtype.is_floating_point]
    rare = {"target", "prior_mean", "prior_logvar"}  # a gradient of these takes the way of the composed operators
    differentiable = tuple(name for name in trained if draw(st.integers(0, 7)) > (6 if name in rare else 1))
    return Call("negative_elbo", given, options, differentiable, draw(incoming))


@given(calls())
def test_values_and_gradients(call: Call) -> None:
    check(call)
