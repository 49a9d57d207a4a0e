"""minibatch_discrimination: any features."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from properties.agreement import Call, check
from properties.operands import dtypes, incoming, operands, regimes

_SIZES = st.tuples(
    st.sampled_from([1, 2, 3, 5, 17, 33, 0]), st.sampled_from([1, 2, 5, 17, 0]), st.sampled_from([1, 3, 8, 17, 0])
)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    features = draw(operands(draw(_SIZES), draw(dtypes), draw(regimes)))
    differentiable = ("features",) if draw(st.integers(0, 3)) else ()
    options = {"include_self": draw(st.booleans())}
    return Call("minibatch_discrimination", {"features": features}, options, differentiable, draw(incoming))


@given(calls())
def test_values_and_gradients(call: Call) -> None:
    check(call)
