"""Scalar helpers against float64: at most one or two units in the last place, and the right limits."""

from __future__ import annotations

import math

import pytest
import torch
import triton
import triton.language as tl
from accuracy import ulp

from deepgen_fast.ops import triton_math
from deepgen_fast.ops.reparameterize_kl import triton_math as posterior

COUNT = 65536
BLOCK = 2048


@triton.jit
def _apply(out_ptr, x_ptr, FUNCTION: tl.constexpr, BLOCK: tl.constexpr):
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + index, FUNCTION(tl.load(x_ptr + index)))


@triton.jit
def _sine_and_cosine(sine_ptr, cosine_ptr, x_ptr, BLOCK: tl.constexpr):
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    sine, cosine = triton_math.sincos_turn(tl.load(x_ptr + index))
    tl.store(sine_ptr + index, sine)
    tl.store(cosine_ptr + index, cosine)


def apply(function, x):
    out = torch.empty_like(x)
    block = min(BLOCK, x.numel())
    _apply[(x.numel() // block,)](out, x, FUNCTION=function, BLOCK=block, enable_fp_fusion=False)
    return out


def _reference_softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))


CASES = {
    # name: (helper, truth, lowest and highest argument, bound in ulp)
    "exp": (triton_math.exp, torch.exp, -103.0, 88.7, 1.0),
    "exp_small": (triton_math.exp, torch.exp, -1.0, 1.0, 1.0),
    "exp_finite": (triton_math.exp_finite, torch.exp, -87.3, 88.7, 1.0),
    "log_positive": (triton_math.log_positive, torch.log, 2.0**-33, 1.0, 1.0),
    "log": (triton_math.log, torch.log, 1e-38, 3e38, 1.0),
    "log_near_one": (triton_math.log, torch.log, 0.5, 2.0, 1.0),
    "log1p_unit": (triton_math.log1p_unit, torch.log1p, 0.0, 1.0, 1.5),
    "reciprocal_unit": (triton_math.reciprocal_unit, torch.reciprocal, 1.0, 2.0, 1.0),
    "softplus": (posterior.softplus, _reference_softplus, -80.0, 80.0, 2.0),
    "sigmoid": (posterior.sigmoid, torch.sigmoid, -80.0, 80.0, 2.5),
}


@pytest.mark.parametrize("name", CASES)
def test_float32_error(name, device):
    helper, truth, low, high, bound = CASES[name]
    x = torch.linspace(low, high, COUNT, dtype=torch.float64).float()
    if low > 0 and high / low > 1e6:
        x = torch.logspace(math.log10(low), math.log10(high), COUNT, dtype=torch.float64).float().clamp(low, high)
    true = truth(x.double())
    error = (apply(helper, x.to(device)).cpu().double() - true).abs() / ulp(true, torch.float32)
    assert float(error.max()) <= bound


@pytest.mark.parametrize("name", CASES)
def test_float64_error(name, device):
    helper, truth, low, high, _ = CASES[name]
    if name == "log_positive":
        pytest.skip("the noise is float32")
    x = torch.linspace(low, high, 1024, dtype=torch.float64)
    error = (apply(helper, x.to(device)).cpu() - truth(x)).abs() / ulp(truth(x), torch.float64)
    assert float(error.max()) <= 3.0


def test_sine_and_cosine_of_turns(device):
    u = torch.linspace(0.0, 1.0, COUNT, dtype=torch.float64).float()
    sine, cosine = torch.empty_like(u, dtype=torch.float32).to(device), torch.empty_like(u).to(device)
    _sine_and_cosine[(COUNT // BLOCK,)](sine, cosine, u.to(device), BLOCK=BLOCK, enable_fp_fusion=False)
    quarter = torch.round(u.double() * 4.0)
    rest = 2.0 * math.pi * (u.double() - quarter / 4.0)
    true_sine, true_cosine = torch.sin(rest), torch.cos(rest)
    for turn, expected in ((quarter, sine), (quarter + 1.0, cosine)):
        turn = turn.long() % 4
        true = torch.where(turn % 2 == 0, true_sine, true_cosine) * torch.where(turn < 2, 1.0, -1.0)
        error = (expected.cpu().double() - true).abs() / ulp(true, torch.float32)
        assert float(error.max()) <= 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_limits(dtype, device):
    inf, nan = math.inf, math.nan
    x = torch.tensor([inf, -inf, nan, 1e30, -1e30, 0.0, 1e-40, -1.0], dtype=dtype, device=device)
    tiny, huge = torch.finfo(dtype).tiny, torch.finfo(dtype).max

    def close(found, expected):
        torch.testing.assert_close(found.cpu(), torch.tensor(expected, dtype=dtype), equal_nan=True)

    close(apply(triton_math.exp, x), [inf, 0.0, nan, inf, 0.0, 1.0, 1.0, math.exp(-1.0)])
    close(apply(triton_math.exp_finite, x), [huge, tiny, nan, huge, tiny, 1.0, 1.0, math.exp(-1.0)])
    log_small = math.log(float(torch.tensor(1e-40, dtype=dtype)))
    close(apply(triton_math.log, x), [inf, nan, nan, math.log(1e30), nan, -inf, log_small, nan])
    close(apply(posterior.softplus, x)[:6], [inf, 0.0, nan, 1e30, 0.0, math.log(2.0)])
    close(apply(posterior.sigmoid, x)[:6], [1.0, 0.0, nan, 1.0, 0.0, 0.5])
