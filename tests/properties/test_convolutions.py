"""The convolutions, alone and with batch norm and activation: any geometry, algorithm and memory format."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from properties.agreement import Call, check
from properties.operands import Operand, dtypes, operands

CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 17])
KNOWN = ((4, 2, 1), (3, 2, 1), (5, 2, 2), (3, 1, 1), (4, 1, 0))  # (kernel, stride, padding)
WINOGRAD = 3e-6  # of the result's norm, in float32 and less


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, int], dict[str, object]]:
    """The kernel's size, and stride and padding as ints or pairs."""
    if draw(st.integers(0, 2)):
        kernel, stride, padding = draw(st.sampled_from(KNOWN))
        return (kernel, kernel), {"stride": stride, "padding": padding}
    pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
    stride, padding = draw(pairs), draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    if draw(st.booleans()):
        stride, padding = (stride[0],) * 2, (padding[0],) * 2
    return draw(pairs), {"stride": stride, "padding": padding}


def _pair(value: object) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)  # type: ignore[return-value]


@st.composite
def calls(draw: st.DrawFn, op: str) -> Call:
    transposed = op.startswith("conv_transpose")
    kernel, options = draw(geometries())
    stride, padding = _pair(options["stride"]), _pair(options["padding"])
    if transposed:
        options["output_padding"] = tuple(draw(st.integers(0, s - 1)) for s in stride)
    size = draw(st.tuples(st.sampled_from([1, 2, 3, 5, 7, 8, 13]), st.sampled_from([1, 2, 3, 5, 7, 8, 13])))
    extra = options.get("output_padding", (0, 0))
    if transposed:
        large = [
            (n - 1) * s - 2 * p + k + e for n, s, p, k, e in zip(size, stride, padding, kernel, extra, strict=True)
        ]
        assume(min(large) > 0)
    else:
        assume(all(n + 2 * p >= k for n, p, k in zip(size, padding, kernel, strict=True)))
    dtype = draw(dtypes)
    inputs, outputs = draw(CHANNELS), draw(CHANNELS)
    batch = draw(st.sampled_from([1, 2, 3, 5]))
    weight = (inputs, outputs) if transposed else (outputs, inputs)
    given = {"x": draw(operands((batch, inputs, *size), dtype)), "weight": draw(operands((*weight, *kernel), dtype))}
    if draw(st.booleans()):
        given["bias"] = draw(operands((outputs,), dtype))
    algorithm = draw(st.sampled_from(["auto", "auto", "winograd", "direct", "gemm"]))
    differentiable = tuple(name for name in given if draw(st.integers(0, 3)))
    precision = torch.finfo(dtype).eps / torch.finfo(torch.float32).eps if dtype == torch.float64 else 1.0
    rounding = 0.0 if algorithm == "direct" else WINOGRAD * precision
    return Call(op, given, options, differentiable, draw(st.sampled_from([1.0, 1.0, 0.0])), algorithm, rounding, True)


@st.composite
def layers(draw: st.DrawFn, op: str) -> Call:
    """With an activation, and in most cases batch norm."""
    call = draw(calls(op))
    dtype = call.operands["x"].dtype
    norm_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    channels = call.operands["weight"].shape[1 if op.startswith("conv_transpose") else 0]
    options = call.options | {
        "activation": draw(st.sampled_from(["none", "relu", "leaky_relu", "tanh", "sigmoid"])),
        "normalize": draw(st.integers(0, 3)) > 0,
        "training": draw(st.booleans()),
    }
    if options["activation"] == "leaky_relu":
        options["negative_slope"] = draw(st.sampled_from([0.2, 0.01, 0.0, 1.5]))
    given = dict(call.operands)
    differentiable = call.differentiable
    if options["normalize"]:
        given |= _norm(draw, channels, norm_dtype, options["training"])
        differentiable += tuple(n for n in ("bn_weight", "bn_bias") if n in given and draw(st.booleans()))
    return replace(call, operands=given, options=options, differentiable=differentiable)


def _norm(draw: st.DrawFn, channels: int, dtype: torch.dtype, training: bool) -> dict[str, Operand]:
    found = {name: draw(operands((channels,), dtype)) for name in ("bn_weight", "bn_bias") if draw(st.booleans())}
    if not training or draw(st.booleans()):
        found["running_mean"] = replace(draw(operands((channels,), dtype)), layout="dense")
        found["running_var"] = replace(draw(operands((channels,), dtype, map="positive")), layout="dense")
    return found


def _check(call: Call) -> None:
    try:
        check(call)
    except ValueError as error:
        if "cannot run" not in str(error) and "more than 1 value per channel" not in str(error):
            raise


@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d"])
@given(data=st.data())
def test_convolutions(op: str, data: st.DataObject) -> None:
    _check(data.draw(calls(op)))


@pytest.mark.parametrize("op", ["conv_bn_act", "conv_transpose_bn_act"])
@given(data=st.data())
def test_layers(op: str, data: st.DataObject) -> None:
    _check(data.draw(layers(op)))


@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d"])
@given(data=st.data())
def test_not_a_number_stays_in_its_image(op: str, data: st.DataObject) -> None:
    """NaN and infinity reach every output whose window holds them, and no other image; ``direct`` is exact."""
    call = data.draw(calls(op))
    x = data.draw(st.builds(replace, st.just(call.operands["x"]), layout=st.sampled_from(["dense", "channels last"])))
    number = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    place = data.draw(st.integers(0, 10**4)) % math.prod(x.shape)
    x = replace(x, numbers=replace(x.numbers, others=((place, number),)))
    call = replace(call, operands=call.operands | {"x": x})
    try:
        (found,) = call.run(call.inputs)
    except ValueError as error:
        assert "cannot run" in str(error)
        return
    dense = {name: value.contiguous() for name, value in call.inputs.items()}
    # The weight is finite, so a window that holds NaN or infinity gives NaN or infinity.
    (expected,) = call.eager({name: value.double() for name, value in dense.items()})
    assert not (found.isfinite() & ~expected.isfinite()).any()
    others = [image for image in range(x.shape[0]) if image != place // math.prod(x.shape[1:])]
    assert found[others].isfinite().all()
    if call.algorithm == "direct":
        assert torch.equal(found.isfinite(), expected.isfinite())
