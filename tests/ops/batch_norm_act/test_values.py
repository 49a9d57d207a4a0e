"""batch_norm_act and its backward against float64: error at most eager's, plus one unit in the last place."""

from __future__ import annotations

import pytest
import torch
from contract.measure import assert_within_ulps, largest_error, ulp

from ops.batch_norm_act.cases import ACTIVATIONS, DTYPES, OPERATORS, SHAPES, SLOPE, make

NAMES = ("output", "grad_input", "grad_weight", "grad_bias")
# Of a handful of numbers, the largest error is a matter of luck: it is taken over some draws.
DRAWS = 8


def assert_as_true_as_eager(
    shape: tuple[int, ...], dtype: torch.dtype, activation: str, offset: float, last: bool, training: bool
) -> None:
    """Each number's error at most eager's largest plus a unit, and all of them together at most eager's.

    The unit is the result's; for the output, whose two terms may cancel, that of the larger term.
    """
    draws = []
    for _ in range(DRAWS):
        case = make(shape, dtype, activation, offset, last)
        found = [case.forward(), *case.backward(training)]
        eager, truth = case.expected(training, dtype), case.expected(training, torch.float64)
        assert found[0].stride() == found[1].stride() == case.input.stride()
        assert [value.dtype for value in found] == [value.dtype for value in eager]
        draws.append((found, eager, truth, case.terms()))
    for index, name in enumerate(NAMES):
        largest = max(largest_error(eager[index], truth[index]) for _, eager, truth, _ in draws)
        ours_squared = eager_squared = unit_squared = 0.0
        for found, eager, truth, terms in draws:
            ours, true = found[index].double() - truth[index], truth[index]
            unit = ulp(torch.maximum(true.abs(), terms) if index == 0 else true, found[index].dtype)
            excess = (ours.abs() - largest - unit).max()
            assert excess <= 0, f"{name}, training {training}: {excess:.3e} too far, eager's own {largest:.3e}"
            ours_squared += ours.square().sum().item()
            eager_squared += (eager[index].double() - true).square().sum().item()
            unit_squared += ulp(true, found[index].dtype).square().sum().item()
        assert ours_squared**0.5 <= eager_squared**0.5 + unit_squared**0.5, f"{name}, training {training}, in norm"


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES[:3], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_truth(shape: tuple[int, ...], dtype: torch.dtype, activation: str, last: bool) -> None:
    if last and len(shape) not in (4, 5):
        pytest.skip("no such memory format")
    for training in (True, False):
        assert_as_true_as_eager(shape, dtype, activation, 1.0, last, training)


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_double(shape: tuple[int, ...], activation: str, last: bool) -> None:
    """In float64, where the truth has the same precision."""
    if last and len(shape) not in (4, 5):
        pytest.skip("no such memory format")
    case = make(shape, torch.float64, activation, last=last)
    for training in (True, False):
        found = [case.forward(), *case.backward(training)]
        torch.testing.assert_close(found, case.expected(training, torch.float64), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("activation", ["none", "leaky_relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_mean_far_from_zero(offset: float, activation: str, last: bool) -> None:
    assert_as_true_as_eager((16, 24, 8, 8), torch.float32, activation, offset, last, True)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_activation_alone(activation: str) -> None:
    """Values and derivatives over the whole range, near zero and far out, where 1 - tanh^2 has no digit left.

    In units in the last place, a value is at most one further off than eager's worst.
    """
    ramp = torch.cat([torch.linspace(-20, 20, 20001), torch.logspace(-30, 1, 5000), -torch.logspace(-30, 1, 5000)])
    image, one = ramp.view(1, 1, -1), torch.ones(1)
    arguments = (image, one - 1, one, None, None, ACTIVATIONS.index(activation), SLOPE)
    output = OPERATORS.batch_norm_act(*arguments)
    grad = OPERATORS.batch_norm_act_backward(torch.ones_like(image), *arguments, False, True, False)[0]
    truth, eager = getattr(torch, activation)(image.double()), getattr(torch, activation)(image)
    worst = ((eager.double() - truth).abs() / ulp(truth, torch.float32)).max().item()
    assert_within_ulps(output, truth, worst + 1)
    decay = torch.exp(-image.double().abs() * (2 if activation == "tanh" else 1))
    assert_within_ulps(grad, decay / (1 + decay) ** 2 * (4 if activation == "tanh" else 1), 4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_special_values(activation: str) -> None:
    """NaN and infinities of input and gradient: as in eager, in the same places."""
    case = make((2, 17, 4, 5), torch.float32, activation)
    values = torch.tensor([float("nan"), float("inf"), -float("inf"), 3e38, -3e38])
    case.input[0, 2, 0], case.input[1, 16, 3] = values, values.flip(0)
    case.grad_output[0, 5, 0], case.grad_output[1, 0, 1] = values, values.flip(0)
    found, expected = [case.forward(), *case.backward(False)], case.expected(False, torch.float32)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours.isnan(), theirs.isnan())
        assert torch.equal(ours.isinf(), theirs.isinf())
