"""Contract 6, any layout: empty, one element, odd sizes, every stride, misaligned; as if inputs were dense."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import deepgen_fast as dgf
from contract.cases import CASES, Arguments, Case, Shape, cases_of, to_device
from contract.convolutions import CONVOLUTIONS
from contract.measure import assert_bitwise, assert_within_ulps
from deepgen_fast import backends


def _transposed(value: Tensor) -> Tensor:
    return value.movedim(-1, 0).contiguous().movedim(0, -1) if value.dim() > 1 else value


def _strided(value: Tensor) -> Tensor:
    return torch.stack([value, torch.zeros_like(value)], -1)[..., 0] if value.dim() else value


def _misaligned(value: Tensor) -> Tensor:
    """Contiguous, one element past the start of its storage."""
    return torch.cat([value.new_zeros(1), value.flatten()])[1:].view(value.shape)


def _expanded(value: Tensor) -> Tensor:
    return value[:1].expand(value.shape) if value.dim() > 1 else value


LAYOUTS = {"transposed": _transposed, "strided": _strided, "misaligned": _misaligned, "expanded": _expanded}


def _results(case: Case, inputs: Arguments, backend: str) -> list[Tensor]:
    leaves = {n: v.detach().requires_grad_() if n in case.differentiable else v for n, v in inputs.items()}
    torch.manual_seed(6)
    outputs = case.run(leaves, backend)
    total = sum(
        (o * torch.linspace(-1, 2, o.numel(), dtype=o.dtype, device=o.device).view(o.shape)).sum() for o in outputs
    )
    grads = torch.autograd.grad(total, [leaves[name] for name in case.differentiable])
    return [value.detach() for value in (*outputs, *grads)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", (*CASES, *CONVOLUTIONS), ids=str)
def test_layouts(case: Case, layout: str, backend: str, device: str) -> None:
    """Every operand in a layout gives the bits, values and gradients, that dense copies give."""
    change = LAYOUTS[layout]
    inputs = to_device(case.inputs(Shape(5, (3, 7)), torch.float32), device)
    given = {name: change(value) if isinstance(value, Tensor) else value for name, value in inputs.items()}
    dense = {
        n: v.clone(memory_format=torch.contiguous_format) if isinstance(v, Tensor) else v for n, v in given.items()
    }
    for found, expected in zip(_results(case, given, backend), _results(case, dense, backend), strict=True):
        # Torch's own sums and convolutions follow the strides.
        if backend == "reference" or case in CONVOLUTIONS or case.options.get("reduction") == "sample":
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        else:
            assert_within_ulps(found, expected, 0)


@pytest.mark.parametrize(
    "case", (*cases_of("bernoulli_log_likelihood", "gaussian_log_likelihood", "negative_elbo"), *CONVOLUTIONS), ids=str
)
def test_channels_last(case: Case, backend: str, device: str) -> None:
    """Images in channels_last give the values of contiguous ones; their gradients are the same numbers."""
    inputs = to_device(case.inputs(Shape(3, (4, 5, 6)), torch.float64), device)
    last = {
        name: value.to(memory_format=torch.channels_last) if isinstance(value, Tensor) and value.dim() == 4 else value
        for name, value in inputs.items()
    }
    for found, expected in zip(_results(case, last, backend), _results(case, inputs, backend), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("reduction", ["sample", "none", "mean"])
def test_samples_in_channels_last(reduction: str, backend: str, device: str) -> None:
    """Four dimensions of which the first counts samples, in channels_last: the second is the batch, no channels."""
    output, target = torch.randn(2, 5, 4, 3, device=device), torch.rand(5, 4, 3, device=device)
    logvar, mask = torch.randn(4, 3, device=device), torch.rand(5, 4, 3, device=device) > 0.3
    latents = torch.randn(2, 5, 7, device=device)
    last = output.to(memory_format=torch.channels_last)
    options = {"mask": mask, "reduction": reduction, "backend": backend}
    runs = [
        lambda out: dgf.bernoulli_log_likelihood(out, target, **options),
        lambda out: dgf.gaussian_log_likelihood(out, target, logvar=logvar, **options),
        lambda out: dgf.negative_elbo(out, target, *latents, mask=mask, backend=backend),
    ]
    for run in runs:
        leaves = [value.detach().requires_grad_() for value in (last, output)]
        found, expected = (run(leaf) for leaf in leaves)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
        grads = [
            torch.autograd.grad(value.sum(), leaf)[0] for value, leaf in zip((found, expected), leaves, strict=True)
        ]
        torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "shape", [Shape(0, (5,)), Shape(3, (0,)), Shape(0, (0,)), Shape(3, (2, 0)), Shape(4, ())], ids=str
)
@pytest.mark.parametrize("case", (*CASES, *CONVOLUTIONS), ids=str)
def test_empty(case: Case, shape: Shape, backend: str, device: str) -> None:
    """No examples, no columns, one number an example: values as in eager, gradients of the inputs' shapes."""
    inputs = to_device(case.inputs(shape, torch.float32), device)
    if not shape.event and "samples" in str(case) and "target" in inputs:
        pytest.skip("samples of single numbers cannot be told from examples: they are refused")
    leaves = {n: v.detach().requires_grad_() if n in case.differentiable else v for n, v in inputs.items()}
    outputs, expected = case.run(leaves, backend), case.eager(to_device(inputs, "cpu"))
    for name, found, value in zip(case.outputs, outputs, expected, strict=True):
        assert found.shape == value.shape, name
        torch.testing.assert_close(found.detach().cpu(), value, rtol=1e-5, atol=1e-5, equal_nan=True, check_dtype=False)
    sources = [leaves[name] for name in case.differentiable]
    grads = torch.autograd.grad(sum(output.sum() for output in outputs), sources)
    for source, grad in zip(sources, grads, strict=True):
        assert grad.shape == source.shape and not grad.isnan().any()


@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 31, 127, 128, 129, 4095, 4097, 32769])
def test_odd_row_lengths(columns: int, backend: str, device: str) -> None:
    """Tails of vectors, tiles and chunks: every column counts once, and none beyond."""
    ones = torch.ones(3, columns, device=device)
    expected = -columns * math.log1p(math.exp(-1))
    found = dgf.bernoulli_log_likelihood(ones, ones, backend=backend)
    torch.testing.assert_close(found.double().cpu(), torch.full((3,), expected, dtype=torch.float64), rtol=2e-7, atol=0)
    _, kl = dgf.reparameterize_kl(ones, torch.zeros_like(ones), backend=backend)
    assert torch.equal(kl, torch.full_like(kl, columns / 2))


def test_one_tensor_in_every_place(backend: str, device: str) -> None:
    """Operands may share memory, whole or in part."""
    memory = torch.rand(64, device=device)
    first, second = memory[:60].view(4, 15), memory[4:].view(4, 15)
    found = dgf.gaussian_log_likelihood(first, second, logvar=first, backend=backend)
    expected = dgf.gaussian_log_likelihood(first.clone(), second.clone(), logvar=first.clone(), backend=backend)
    assert_bitwise(found, expected)


@st.composite
def _views(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """A shape, strides that may be 0 or skip and cross, and an offset."""
    shape = tuple(draw(st.lists(st.integers(0, 6), min_size=1, max_size=4)))
    strides = tuple(draw(st.sampled_from([0, 1, 2, 3, 5, 7, 11, 30])) for _ in shape)
    return shape, strides, draw(st.integers(0, 5))


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    first=_views(),
    second_strides=st.lists(st.sampled_from([0, 1, 2, 5, 8, 13]), min_size=4, max_size=4),
    data=st.data(),
)
def test_any_strides(first, second_strides: list[int], data: st.DataObject, backend: str, device: str) -> None:
    """Whatever the shapes and strides, values and gradients are those of dense copies."""
    shape, strides, offset = first
    memory = torch.rand(400, device=device)
    mean = memory.as_strided(shape, strides, offset)
    other = memory.as_strided(shape, second_strides[: len(shape)], 1)
    run = data.draw(
        st.sampled_from(
            [
                lambda a, b: dgf.bernoulli_log_likelihood(a, b, backend=backend),
                lambda a, b: dgf.gaussian_log_likelihood(a, b, logvar=b, backend=backend),
                lambda a, b: dgf.reparameterize_kl(a, b, noise=b, backend=backend, reduction="none")[1],
                lambda a, b: dgf.negative_elbo(a, b, a, b, reduction="sum", backend=backend),
            ]
        )
    )
    results = []
    for pair in ((mean, other), (mean.clone().contiguous(), other.clone().contiguous())):
        leaf = pair[0].detach().requires_grad_()
        value = run(leaf, pair[1])
        results.append((value.detach(), *torch.autograd.grad(value.sum(), leaf)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_more_than_2_to_the_31_elements() -> None:
    """Offsets are 64 bits wide: rows far apart in memory that is mapped but never touched between them."""
    if reason := backends.unavailable("cpu"):
        pytest.skip(reason)
    torch.use_deterministic_algorithms(False)  # filling would touch every page
    columns = 2**30 + 16
    logits = torch.empty(2 * columns + 64, dtype=torch.bfloat16)[: 2 * columns]
    far = logits.as_strided((2, 64), (columns + 2**30, 1))
    far.copy_(torch.arange(128.0).view(2, 64))
    found = dgf.bernoulli_log_likelihood(far, torch.ones(2, 64), backend="cpu")
    expected = dgf.bernoulli_log_likelihood(far.clone(), torch.ones(2, 64), backend="cpu")
    assert_bitwise(found, expected)


@pytest.mark.slow
def test_rows_past_2_to_the_31_elements() -> None:
    """A dense input of more than 2^31 elements, walked whole: the last rows are right."""
    if reason := backends.unavailable("cpu"):
        pytest.skip(reason)
    torch.use_deterministic_algorithms(False)
    columns, rows = 2**20, 2**11 + 3
    logits = torch.zeros(1, dtype=torch.bfloat16).expand(rows * columns).view(rows, columns)
    dense = torch.empty(rows, columns, dtype=torch.bfloat16)
    dense.copy_(logits)
    dense[-1, -5:] = 3.0
    target = torch.ones(1, dtype=torch.bool).expand(rows, columns).contiguous()
    found = dgf.bernoulli_log_likelihood(dense, target, backend="cpu")
    assert_bitwise(found[:-1], found[:1].expand(rows - 1))
    lone = dgf.bernoulli_log_likelihood(dense[-1:].clone(), target[-1:], backend="cpu")
    assert_bitwise(found[-1:], lone)
    assert found[-1] > found[0]
