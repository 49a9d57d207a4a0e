"""minibatch_discrimination and its backward on Triton against their references in float64."""

from __future__ import annotations

import math

import pytest
import torch
from accuracy import assert_as_accurate_as_eager

from deepgen_fast.ops.minibatch_discrimination import reference
from deepgen_fast.ops.minibatch_discrimination import triton as kernels
from deepgen_fast.ops.rows import accumulation_dtype

# One pair; tiles that are not full; a turn that is; several tiles of examples and blocks of others.
SHAPES = [(1, 1, 1), (5, 3, 7), (4, 17, 8), (33, 2, 1)]


def draw(shape, dtype, device, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) / max(shape[2], 1)).to(dtype).to(device)


def check(features, include_self):
    grad = torch.linspace(-1.0, 2.0, features.shape[0] * features.shape[1]).view(features.shape[:2])
    grad = grad.to(features.device, accumulation_dtype(features.dtype))
    assert_as_accurate_as_eager(
        kernels.minibatch_discrimination, reference.minibatch_discrimination, (features, include_self)
    )
    assert_as_accurate_as_eager(
        kernels.minibatch_discrimination_backward,
        reference.minibatch_discrimination_backward,
        (grad, features, include_self),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_dtypes(shape, dtype, device):
    for include_self in (False, True):
        check(draw(shape, dtype, device), include_self)


def test_dimensions_in_several_turns(monkeypatch, device):
    monkeypatch.setattr(kernels, "MOST_DIMS", 4)
    for dims in (5, 8, 11):
        check(draw((6, 3, dims), torch.float32, device), False)


def test_offsets_of_64_bits(monkeypatch, device):
    monkeypatch.setattr(kernels, "is_wide", lambda *elements: True)
    check(draw((9, 5, 3), torch.float32, device), False)


def test_nothing_to_do(device):
    for shape in ((0, 3, 2), (3, 0, 2), (3, 2, 0)):
        check(draw(shape, torch.float32, device), True)


def test_any_layout(device):
    features = draw((6, 4, 10), torch.float32, device)[:, :, ::2].transpose(0, 1)
    dense = features.contiguous()
    grad = torch.ones((), device=device).expand(4, 6)
    assert torch.equal(
        kernels.minibatch_discrimination(features, False), kernels.minibatch_discrimination(dense, False)
    )
    found = kernels.minibatch_discrimination_backward(grad, features, False)
    assert torch.equal(found, kernels.minibatch_discrimination_backward(grad.contiguous(), dense, False))


def test_special_values(device):
    features = draw((5, 3, 2), torch.float32, device)
    features[1, 0, 1], features[2, 1, 0], features[:2, 2, 0] = math.inf, math.nan, 3e38
    features[0, 2, 0] = -3e38
    grad = torch.ones(5, 3, device=device)
    for include_self in (False, True):
        found = kernels.minibatch_discrimination(features, include_self)
        torch.testing.assert_close(found, reference.minibatch_discrimination(features, include_self), equal_nan=True)
    slopes = kernels.minibatch_discrimination_backward(grad, features, False)
    expected = reference.minibatch_discrimination_backward(grad, features, False)
    torch.testing.assert_close(slopes[:, ::2], expected[:, ::2])
    assert slopes.isfinite()[:, ::2].all()
