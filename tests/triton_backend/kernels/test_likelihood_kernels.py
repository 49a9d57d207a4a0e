"""bernoulli_log_likelihood and gaussian_log_likelihood on Triton against their references in float64."""

from __future__ import annotations

import math

import pytest
import torch
from accuracy import assert_as_accurate_as_eager

from deepgen_fast.ops import triton_likelihood
from deepgen_fast.ops.bernoulli_log_likelihood import reference as bernoulli_reference
from deepgen_fast.ops.bernoulli_log_likelihood import triton as bernoulli
from deepgen_fast.ops.gaussian_log_likelihood import reference as gaussian_reference
from deepgen_fast.ops.gaussian_log_likelihood import triton as gaussian

DTYPES = [torch.float32, torch.float64, torch.bfloat16]
# (decoder output, target): with and without samples, short and long rows, primes, nothing.
SHAPES = [
    ((1, 1), (1, 1)),
    ((3, 5), (3, 5)),
    ((70, 32), (70, 32)),
    ((2, 1031), (2, 1031)),
    ((1, 4112), (1, 4112)),
    ((3, 2, 2, 8), (2, 2, 8)),
    ((2, 0, 4), (0, 4)),
    ((3, 0), (3, 0)),
]


def draw(shape, dtype, seed, device):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(device)


def target_of(shape, dtype, device):
    uniform = torch.rand(shape, generator=torch.Generator().manual_seed(9))
    return (uniform if dtype.is_floating_point else uniform.round()).to(dtype).to(device)


def mask_of(shape, device):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(8)) > 0.3).to(device)


def check_bernoulli(logits, target, mask, elementwise):
    arguments = (logits, target, mask, elementwise)
    value, reference = bernoulli.bernoulli_log_likelihood, bernoulli_reference.bernoulli_log_likelihood
    assert_as_accurate_as_eager(value, reference, arguments)
    grad = reference(*arguments)
    grad = draw(grad.shape, grad.dtype, 7, grad.device)
    for needs in ((True, False), (True, True)):
        assert_as_accurate_as_eager(
            bernoulli.bernoulli_log_likelihood_backward,
            bernoulli_reference.bernoulli_log_likelihood_backward,
            (grad, *arguments, *needs),
        )


def check_gaussian(mean, target, logvar, mask, elementwise):
    arguments = (mean, target, logvar, mask, elementwise)
    value, reference = gaussian.gaussian_log_likelihood, gaussian_reference.gaussian_log_likelihood
    assert_as_accurate_as_eager(value, reference, arguments)
    grad = reference(*arguments)
    grad = draw(grad.shape, grad.dtype, 7, grad.device)
    for needs in ((True, False), (True, True)):
        assert_as_accurate_as_eager(
            gaussian.gaussian_log_likelihood_backward,
            gaussian_reference.gaussian_log_likelihood_backward,
            (grad, *arguments, *needs, logvar is not None),
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "target_shape"), SHAPES)
def test_shapes_and_dtypes(shape, target_shape, dtype, device):
    output, target = draw(shape, dtype, 1, device), target_of(target_shape, dtype, device)
    check_bernoulli(output, target, None, False)
    check_gaussian(output, target, draw(shape, dtype, 2, device), None, False)


@pytest.mark.parametrize("elementwise", [False, True])
@pytest.mark.parametrize("target_dtype", [torch.float32, torch.uint8, torch.bool])
def test_target_dtypes(target_dtype, elementwise, device):
    dtype = torch.float16 if target_dtype == torch.bool else torch.bfloat16
    output, target = draw((3, 5, 8), dtype, 1, device), target_of((5, 8), target_dtype, device)
    check_bernoulli(output, target, None, elementwise)
    check_gaussian(output, target, None, None, elementwise)


@pytest.mark.parametrize("elementwise", [False, True])
@pytest.mark.parametrize("mask_shape", [(8,), (5, 8), (3, 5, 8)])
def test_masks(mask_shape, elementwise, device):
    output, target = draw((3, 5, 8), torch.float32, 1, device), target_of((5, 8), torch.float32, device)
    mask = mask_of(mask_shape, device)
    check_bernoulli(output, target, mask, elementwise)
    check_gaussian(output, target, draw((), torch.float32, 2, device), mask, elementwise)
    poisoned = output.masked_fill(~mask, math.nan)
    for op, extra in ((bernoulli.bernoulli_log_likelihood, ()), (gaussian.gaussian_log_likelihood, (None,))):
        assert not bool(op(poisoned, target, *extra, mask, elementwise).isnan().any())
    grad = torch.ones(output.shape, device=device)
    grad_logits, _ = bernoulli.bernoulli_log_likelihood_backward(grad, poisoned, target, mask, True, True, False)
    assert bool((grad_logits.masked_select(~mask) == 0.0).all()) and not bool(grad_logits.isnan().any())


@pytest.mark.parametrize("elementwise", [False, True])
@pytest.mark.parametrize("logvar_shape", [(), (8,), (5, 8), (3, 5, 8)])
def test_log_variances(logvar_shape, elementwise, device):
    mean, target = draw((3, 5, 8), torch.float32, 1, device), target_of((5, 8), torch.uint8, device)
    check_gaussian(mean, target, draw(logvar_shape, torch.float32, 2, device), None, elementwise)


def test_shared_log_variance_of_long_rows(device):
    mean, target = draw((2, 4112), torch.float32, 1, device), target_of((2, 4112), torch.float32, device)
    check_gaussian(mean, target, draw((), torch.float32, 2, device), None, False)


def test_many_samples_share_a_program(device, monkeypatch):
    monkeypatch.setattr(triton_likelihood, "samples_per_program", lambda samples, programs: 4)
    for samples in (4, 6):
        output = draw((samples, 3, 12), torch.float32, 1, device)
        target = target_of((3, 12), torch.float32, device)
        check_bernoulli(output, target, mask_of((samples, 3, 12), device), False)
        check_gaussian(output, target, draw((3, 12), torch.float32, 2, device), None, False)


@pytest.mark.parametrize("columns", [12, 200, 5000])
def test_a_row_does_not_depend_on_the_other_rows(columns, device):
    logits, target = (draw((7, columns), torch.float32, seed, device) for seed in (1, 2))
    together = bernoulli.bernoulli_log_likelihood(logits, target, None, False)
    for row in (0, 6):
        one = slice(row, row + 1)
        alone = bernoulli.bernoulli_log_likelihood(logits[one], target[one], None, False)
        assert torch.equal(alone, together[one])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_special_values(dtype, device):
    huge, inf, nan = torch.finfo(dtype).max, math.inf, math.nan
    output = torch.tensor([[0.0, huge, -huge, 1e4, -1e4, inf, -inf, nan]], dtype=dtype, device=device)
    target = torch.tensor([[0.5, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0]], dtype=dtype, device=device)
    ones = torch.ones_like(output)
    pairs = [
        (bernoulli.bernoulli_log_likelihood, bernoulli_reference.bernoulli_log_likelihood, ()),
        (gaussian.gaussian_log_likelihood, gaussian_reference.gaussian_log_likelihood, (None,)),
        (gaussian.gaussian_log_likelihood, gaussian_reference.gaussian_log_likelihood, (1000.0 * ones,)),
        (gaussian.gaussian_log_likelihood, gaussian_reference.gaussian_log_likelihood, (-1000.0 * ones,)),
    ]
    finite = output.isfinite()
    for kernel, reference, logvar in pairs:
        value = kernel(output, target, *logvar, None, True)
        torch.testing.assert_close(value[finite], reference(output, target, *logvar, None, True)[finite])
        assert not bool(value[finite].isnan().any())
        assert bool(value[output.isnan()].isnan().all())
    grads = bernoulli.bernoulli_log_likelihood_backward(ones, output, target, None, True, True, True)
    expected = bernoulli_reference.bernoulli_log_likelihood_backward(ones, output, target, None, True, True, True)
    for ours, theirs in zip(grads, expected, strict=True):
        torch.testing.assert_close(ours, theirs, equal_nan=True)


def test_any_layout(device):
    output = draw((2, 6, 4), torch.float32, 1, device).transpose(1, 2)
    target = target_of((6, 4), torch.float32, device).t()
    mask = mask_of((6,), device).expand(4, 6)
    check_bernoulli(output, target, mask, False)
    check_gaussian(output, target, draw((6, 4), torch.float32, 2, device).t(), mask, False)
    expanded, plain = torch.ones((), device=device).expand(2, 4), torch.ones(2, 4, device=device)
    rest = (output, target, mask, False, True, False)
    found, wanted = (bernoulli.bernoulli_log_likelihood_backward(grad, *rest)[0] for grad in (expanded, plain))
    assert torch.equal(found, wanted)
