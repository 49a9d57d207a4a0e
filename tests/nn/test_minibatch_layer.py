"""dgf.nn.MinibatchDiscrimination: the paper's formula, its initial scale, other precisions."""

from __future__ import annotations

import pytest
import torch

import deepgen_fast as dgf


def test_the_layer_is_the_papers_formula():
    layer = dgf.nn.MinibatchDiscrimination(6, 4, 3).double()
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    found = layer(x)
    matrices = torch.einsum("na,abc->nbc", x, layer.weight)
    expected = torch.stack(
        [
            sum(torch.exp(-(matrices[i] - matrices[j]).abs().sum(1)) for j in range(5) if j != i)
            for i in range(5)
        ]
    )  # fmt: skip
    torch.testing.assert_close(found, torch.cat([x, expected], 1))
    weights = torch.randn_like(found)
    ours = torch.autograd.grad((found * weights).sum(), (x, layer.weight))
    theirs = torch.autograd.grad((torch.cat([x, expected], 1) * weights).sum(), (x, layer.weight))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)
    layer.include_self = True
    torch.testing.assert_close(layer(x)[:, 6:], expected + 1)


def test_similarities_do_not_vanish_at_first():
    closeness = dgf.nn.MinibatchDiscrimination(128, 50, 5)(torch.randn(64, 128))[:, 128:]
    assert 1.0 < closeness.mean() < 20.0


def test_other_precisions():
    torch.manual_seed(1)
    layer, x = dgf.nn.MinibatchDiscrimination(8, 5, 3), torch.randn(12, 8)
    expected = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = layer(x)
    narrow = layer.bfloat16()(x.bfloat16())
    assert narrow.dtype == torch.bfloat16
    for found in (mixed, narrow):
        torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)
    narrow.sum().backward()
    assert layer.weight.grad.isfinite().all() and layer.weight.grad.any()


def test_bad_sizes():
    for name in ("in_features", "num_kernels", "kernel_dim"):
        sizes = {"in_features": 2, "num_kernels": 2, "kernel_dim": 2, name: 0}
        with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
            dgf.nn.MinibatchDiscrimination(**sizes)
