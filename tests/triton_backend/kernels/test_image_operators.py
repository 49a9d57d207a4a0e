"""The public convolutions with backend="triton": what PyTorch's layers compute, and their gradients of both orders."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import deepgen_fast as dgf


@pytest.fixture(autouse=True)
def guarded_outputs():
    """Plain outputs in place of guarded ones: the public functions give views and layouts of their own."""


def draw(shape, seed, device):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)


def gradients(output, operands):
    """First gradients, and the gradient of their size: what a gradient penalty takes."""
    first = torch.autograd.grad(output.square().sum(), operands, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), operands)
    return (*first, *second)


def check(ours, theirs, operands):
    found, expected = ours(*operands), theirs(*operands)
    assert found.stride() == expected.stride()
    torch.testing.assert_close(found, expected)
    for one, other in zip(gradients(found, operands), gradients(expected, operands), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * other.detach().abs().max().item())


def test_convolutions_and_their_gradients(device):
    x, weight, bias = (draw(shape, seed, device) for seed, shape in enumerate(((2, 3, 2, 3), (3, 4, 4, 4), (4,))))
    operands = tuple(t.requires_grad_() for t in (x, weight, bias))
    check(lambda *t: dgf.conv_transpose2d(*t, backend="triton"), lambda *t: F.conv_transpose2d(*t, 2, 1), operands)
    x, bias = draw((2, 4, 4, 5), 3, device).requires_grad_(), draw((3,), 4, device).requires_grad_()
    check(lambda *t: dgf.conv2d(*t, backend="triton"), lambda *t: F.conv2d(*t, 2, 1), (x, weight, bias))


@pytest.mark.parametrize("training", [True, False])
def test_normalized_layers(training, device):
    x, weight = draw((2, 3, 2, 3), 1, device), draw((3, 4, 4, 4), 2, device)
    scale, shift = draw((4,), 3, device), draw((4,), 4, device)

    def ours(x, weight, scale, shift):
        mean, variance = torch.zeros(4, device=device), torch.ones(4, device=device)
        return dgf.conv_transpose_bn_act(
            x, weight, running_mean=mean, running_var=variance, bn_weight=scale, bn_bias=shift, training=training,
            activation="tanh", backend="triton",
        )  # fmt: skip

    def theirs(x, weight, scale, shift):
        mean, variance = torch.zeros(4, device=device), torch.ones(4, device=device)
        y = F.conv_transpose2d(x, weight, None, 2, 1)
        return torch.tanh(F.batch_norm(y, mean, variance, scale, shift, training))

    operands = (x, weight, scale, shift)
    with torch.no_grad():
        torch.testing.assert_close(ours(*operands), theirs(*operands))
    check(ours, theirs, tuple(t.requires_grad_() for t in operands))


def test_other_geometries_are_pytorchs_own_operator(device):
    x, weight = draw((1, 2, 4, 4), 1, device), draw((3, 2, 3, 4), 2, device)
    torch.testing.assert_close(dgf.conv2d(x, weight, backend="triton"), F.conv2d(x, weight, None, 2, 1))
