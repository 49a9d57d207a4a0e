"""Derivatives of accelerated networks beyond one backward: batched, in forward mode, and both orders mixed."""

from __future__ import annotations

import pytest
import torch
from accelerate_models import build
from torch import Tensor, nn
from torch.autograd import forward_ad

from deepgen_fast.nn.accelerate import accelerate

NETWORKS = ("generator", "discriminator", "conv_vae")
MODES = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])


def _pair(name: str, training: bool) -> tuple[nn.Module, nn.Module, Tensor]:
    model, plain, x = build(name)
    for one in (model, plain):
        one.double().train(training)
    return accelerate(model), plain, x.double()


@MODES
@pytest.mark.parametrize("name", NETWORKS)
def test_batched_gradients(name: str, training: bool) -> None:
    """``is_grads_batched`` gives the plain network's gradients of input and weights."""
    model, plain, x = _pair(name, training)
    incoming, found = None, []
    for one in (model, plain):
        leaf = x.clone().requires_grad_()
        output = one(leaf)
        incoming = torch.randn(3, *output.shape, dtype=x.dtype) if incoming is None else incoming
        leaves = [leaf, *one.parameters()]
        found.append(torch.autograd.grad(output, leaves, incoming, is_grads_batched=True, allow_unused=True))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-8)


@MODES
@pytest.mark.parametrize("name", NETWORKS)
def test_forward_mode(name: str, training: bool) -> None:
    """Tangents of an input, recorded or not, are the plain network's; running statistics move as they do there."""
    model, plain, x = _pair(name, training)
    tangent = torch.randn_like(x)
    for recording in (False, True):
        found = []
        for one in (model, plain):
            with torch.set_grad_enabled(recording), forward_ad.dual_level():
                found.append(forward_ad.unpack_dual(one(forward_ad.make_dual(x, tangent))).tangent)
        torch.testing.assert_close(*found, rtol=1e-7, atol=1e-8)
    for ours, theirs in zip(model.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_hessian_vector_products(name: str) -> None:
    """Forward over reverse, in training: through the batch's statistics as well."""
    model, plain, x = _pair(name, True)
    tangent, found = torch.randn_like(x), []
    for one in (model, plain):
        with forward_ad.dual_level():
            leaf = forward_ad.make_dual(x.clone().requires_grad_(), tangent)
            (grad,) = torch.autograd.grad(one(leaf).square().sum(), leaf)
            found.append(forward_ad.unpack_dual(grad).tangent)
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-7)
