"""Contract 1, truth: against float64, the error is at most eager's own in the same dtype, plus one ulp."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from contract.cases import CASES, SHAPES, SMALL, TYPICAL, Arguments, Case, Shape, cases_of, convert, noise_of, to_device
from contract.convolutions import CONVOLUTIONS, ConvolutionCase
from contract.measure import assert_relative, assert_true, largest_error

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
EVERY = (*CASES, *CONVOLUTIONS)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _dtypes(case: Case, dtype: torch.dtype) -> list[torch.dtype]:
    """Of the outputs, then of the gradients."""
    return [dtype if name in ("z", "image") else _wide(dtype) for name in case.outputs] + [
        _wide(dtype) if name.startswith("bn_") else dtype for name in case.differentiable
    ]


def _evaluate(case: Case, run, inputs: Arguments, cotangents: list[Tensor]) -> list[Tensor]:
    """Outputs, then the gradients of all differentiable inputs for these incoming gradients."""
    names = case.differentiable
    inputs = {n: v.detach().requires_grad_() if n in names else v for n, v in inputs.items()}
    outputs = run(inputs)
    total = sum((o * c.to(o)).sum() for o, c in zip(outputs, cotangents, strict=True))
    grads = torch.autograd.grad(total, [inputs[name] for name in names])
    return [value.detach() for value in (*outputs, *grads)]


def _cotangents(case: Case, inputs: Arguments) -> list[Tensor]:
    """Random incoming gradients that every dtype holds exactly."""
    return [torch.randn(value.shape).bfloat16().float() for value in case.eager(inputs)]


def _eager_and_truth(case: Case, inputs: Arguments, cotangents: list[Tensor], dtype: torch.dtype, device: str):
    """Eager runs in the accumulation dtype, as it does under autocast for losses.

    On the CPU, but for convolutions: PyTorch rounds those in other places on a GPU.

    For half inputs that is stricter than eager in their own dtype, whose error would hide anything. Only convolutions
    are compared with that, whose layers round between convolution, norm and activation.
    """
    convolution = isinstance(case, ConvolutionCase)
    device = device if convolution else "cpu"
    placed, incoming = to_device(inputs, device), [cotangent.to(device) for cotangent in cotangents]
    eager = _evaluate(case, case.eager, convert(placed, _wide(dtype)), incoming)
    if dtype != _wide(dtype) and convolution:
        eager = _evaluate(case, case.eager, placed, incoming)
    eager = [value.cpu().to(kind) for value, kind in zip(eager, _dtypes(case, dtype), strict=True)]
    return eager, _evaluate(case, case.eager, convert(inputs, torch.float64), cotangents)


@cache
def _eager_errors(case: Case, shape: Shape, dtype: torch.dtype, draws: int, device: str) -> list[float]:
    """Eager's largest error in each output and gradient over several draws: in one draw of few elements it may be 0."""
    errors = []
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for _ in range(draws):
            inputs = case.inputs(shape, dtype)
            pairs = zip(*_eager_and_truth(case, inputs, _cotangents(case, inputs), dtype, device), strict=True)
            errors.append([largest_error(eager, truth) for eager, truth in pairs])
    return [max(of_one) for of_one in zip(*errors, strict=True)]


def check_truth(
    case: Case, inputs: Arguments, errors: list[float], backend: str, device: str, seed: int | None = None
) -> None:
    """Values and gradients; with ``seed`` from generated noise, of which ``inputs["noise"]`` is a copy."""
    dtype = inputs[case.differentiable[0]].dtype
    cotangents = _cotangents(case, inputs)
    eager, truth = _eager_and_truth(case, inputs, cotangents, dtype, device)
    given = to_device(inputs, device)
    if seed is not None:
        given = {name: value for name, value in given.items() if name != "noise"}
        torch.manual_seed(seed)
    found = _evaluate(case, lambda given: case.run(given, backend), given, [c.to(device) for c in cotangents])
    names = (*case.outputs, *(f"gradient of {name}" for name in case.differentiable))
    for name, value, own, true, error, kind in zip(
        names, found, eager, truth, errors, _dtypes(case, dtype), strict=True
    ):
        assert value.dtype == kind, name
        if isinstance(case, ConvolutionCase):
            winograd = case.algorithm == "winograd" and backend != "reference"
            assert_relative(value.cpu(), true, own, 3e-6 if winograd else 3e-7, dtype, name, error)
        else:
            assert_true(value.cpu(), true, max(error, largest_error(own, true)), name)


@pytest.mark.parametrize("case", EVERY, ids=str)
@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_small_shapes(case: Case, shape: Shape, backend: str, device: str) -> None:
    """Every option: one column, a part of a vector, an event of several dimensions."""
    inputs = case.inputs(shape, torch.float32)
    check_truth(case, inputs, _eager_errors(case, shape, torch.float32, 64, device), backend, device)


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_half_precision(case: Case, dtype: torch.dtype, backend: str, device: str) -> None:
    """Every option, from inputs of 16 bits."""
    shape = SMALL[1]
    inputs = case.inputs(shape, dtype)
    check_truth(case, inputs, _eager_errors(case, shape, dtype, 64, device), backend, device)


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_images(case: Case, backend: str, device: str) -> None:
    """Every option on a batch of MNIST's size, where sums are long."""
    shape = SHAPES[3]
    inputs = case.inputs(shape, torch.float32)
    try:
        check_truth(case, inputs, _eager_errors(case, shape, torch.float32, 8, device), backend, device)
    except AssertionError:  # eager's largest error of few draws may be small: a bias's gradient varies a hundredfold
        check_truth(case, inputs, _eager_errors(case, shape, torch.float32, 64, device), backend, device)


@pytest.mark.parametrize("case", TYPICAL, ids=str)
def test_large_images(case: Case, backend: str, device: str) -> None:
    """Rows of 3 x 64 x 64 pixels, which several threads share."""
    shape = Shape(5, SHAPES[4].event)
    inputs = case.inputs(shape, torch.float32)
    check_truth(case, inputs, _eager_errors(case, shape, torch.float32, 8, device), backend, device)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_large_batch(case: Case, dtype: torch.dtype, backend: str, device: str) -> None:
    """Every option at (64, 12288)."""
    inputs = case.inputs(SHAPES[-1], dtype)
    check_truth(case, inputs, _eager_errors(case, SHAPES[-1], dtype, 3, device), backend, device)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("case", cases_of("reparameterize_kl"), ids=str)
def test_generated_noise(case: Case, dtype: torch.dtype, backend: str, device: str) -> None:
    """With generated noise too: the backward makes the same noise again, though nothing of it was stored."""
    shape = Shape(17, (37,))
    inputs = case.inputs(shape, dtype)
    inputs["noise"] = noise_of(backend, inputs["mean"].to(device), inputs.get("num_samples"), seed=5).cpu()
    check_truth(case, inputs, _eager_errors(case, shape, dtype, 16, device), backend, device, seed=5)
