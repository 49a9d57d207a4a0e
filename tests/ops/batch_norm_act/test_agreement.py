"""batch_norm_act and its backward: options, strides, threads, instruction sets, bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from contract.measure import assert_bitwise
from torch import Tensor

from ops.batch_norm_act.cases import ACTIVATIONS, DTYPES, OPERATORS, SHAPES, SLOPE, make
from ops.instruction_sets import assert_agree

LAST = torch.channels_last


def test_optional_parameters_and_gradients() -> None:
    """Without weight and bias: 1 and 0. Gradients that nobody asks for are empty, the others the same bits."""
    case = make((3, 18, 5, 5), torch.float32, "relu")
    ones, zeros = torch.ones(18), torch.zeros(18)
    plain = OPERATORS.batch_norm_act(case.input, case.mean, case.invstd, None, None, 1, 0.0)
    assert_bitwise(plain, OPERATORS.batch_norm_act(case.input, case.mean, case.invstd, ones, zeros, 1, 0.0))
    for training in (True, False):
        full = case.backward(training)
        for need_input, need_affine in ((True, False), (False, True), (False, False)):
            some = OPERATORS.batch_norm_act_backward(
                case.grad_output, case.input, *case.parameters, 1, SLOPE, training, need_input, need_affine
            )
            for one, every, needed in zip(some, full, (need_input, need_affine, need_affine), strict=True):
                assert_bitwise(one, every if needed else every[:0].flatten())


def test_any_strides() -> None:
    """Input and gradient may lie differently; the output lies as the input does where that is dense."""
    case = make((4, 20, 6, 7), torch.float32, "tanh")
    expected = [case.forward(), *case.backward(True)]
    wide = torch.randn(4, 20, 6, 9)
    wide[..., 1:8] = case.input
    for image in (case.input.to(memory_format=LAST), wide[..., 1:8]):
        output = OPERATORS.batch_norm_act(image, *case.parameters, 3, SLOPE)
        torch.testing.assert_close(output, expected[0])
        for grad in (case.grad_output, case.grad_output.to(memory_format=LAST), case.grad_output.mT.contiguous().mT):
            grads = OPERATORS.batch_norm_act_backward(grad, image, *case.parameters, 3, SLOPE, True, True, True)
            torch.testing.assert_close(list(grads), expected[1:], rtol=1e-5, atol=1e-5)
            assert grads[0].stride() == output.stride()


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
def test_threads(last: bool, threads: None) -> None:
    case = make((33, 40, 20, 20), torch.float32, "sigmoid", last=last)
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append([case.forward(), *case.backward(True)])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert_bitwise(one, two)


def test_nothing_in_the_batch() -> None:
    case = make((2, 6, 3, 3), torch.float32, "relu")
    empty = case.input[:0]
    assert OPERATORS.batch_norm_act(empty, *case.parameters, 1, SLOPE).shape == empty.shape
    for training in (True, False):
        grads = OPERATORS.batch_norm_act_backward(empty, empty, *case.parameters, 1, SLOPE, training, True, True)
        assert grads[0].shape == empty.shape
        assert (grads[1] == 0).all() and (grads[2] == 0).all()


def test_errors() -> None:
    image, vector = torch.randn(2, 5, 3, 3), torch.ones(5)
    for arguments, message in (
        ((torch.randn(5), vector, vector, None, None, 0, 0.0), "input must have a batch"),
        ((image.int(), vector, vector, None, None, 0, 0.0), "input must be float16"),
        ((image, torch.ones(4), vector, None, None, 0, 0.0), r"mean must have shape \[5\]"),
        ((image, vector, vector.double(), None, None, 0, 0.0), "invstd must be float32"),
        ((image.double(), vector, vector, None, None, 0, 0.0), "mean must be float64"),
        ((image, vector, vector, torch.ones(5, 1), None, 0, 0.0), r"weight must have shape \[5\]"),
        ((image, vector, vector, None, torch.ones(6), 0, 0.0), r"bias must have shape \[5\]"),
        ((image, vector, vector, None, None, 5, 0.0), "activation must be 0"),
    ):
        with pytest.raises(RuntimeError, match=message):
            OPERATORS.batch_norm_act(*arguments)
    rest = (image, vector, vector, None, None, 0, 0.0, True, True, True)
    with pytest.raises(RuntimeError, match="grad_output must have the input's shape"):
        OPERATORS.batch_norm_act_backward(image[:1], *rest)
    with pytest.raises(RuntimeError, match="grad_output must have the input's dtype"):
        OPERATORS.batch_norm_act_backward(image.double(), *rest)


def instruction_set_outputs() -> dict[str, Tensor]:
    found = {}
    for shape in SHAPES:
        for dtype in DTYPES:
            for activation in ACTIVATIONS:
                for last in (False, True) if len(shape) == 4 else (False,):
                    torch.manual_seed(3)
                    case = make(shape, dtype, activation, last=last)
                    key = f"{shape} {dtype} {activation} {last}"
                    found[f"{key} statistics"] = OPERATORS.channel_statistics(case.input)
                    results = [case.forward(), *case.backward(True), case.backward(False)[0]]
                    found.update({f"{key} {index}": value for index, value in enumerate(results)})
    ramp = torch.cat([torch.linspace(-110, 110, 4001), torch.logspace(-44, 38, 999), -torch.logspace(-44, 38, 999)])
    one = torch.ones(1)
    for number, activation in enumerate(ACTIVATIONS):
        arguments = (ramp.view(1, 1, -1), one - 1, one, None, None, number, SLOPE)
        found[f"ramp {activation}"] = OPERATORS.batch_norm_act(*arguments)
        found[f"ramp {activation} grad"] = OPERATORS.batch_norm_act_backward(
            torch.ones_like(arguments[0]), *arguments, False, True, False
        )[0]
    return found


def test_instruction_sets_agree(tmp_path: Path) -> None:
    assert_agree("ops.batch_norm_act.test_agreement:instruction_set_outputs", tmp_path)
