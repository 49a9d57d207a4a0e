"""Layers large enough for Winograd filtering: the engine really runs, with the plain model's numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate_models import assert_same
from torch import nn

from deepgen_fast import backends, explain
from deepgen_fast.nn.accelerate import accelerate

pytestmark = pytest.mark.skipif(backends.unavailable("cpu") is not None, reason="the compiled library is not here")


def _models() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    torch.manual_seed(3)
    # Softer than ReLU, whose kink would tell the two roundings apart in single gradients.
    model = nn.Sequential(
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.Tanh(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1),
        nn.Sigmoid(),
        nn.Conv2d(64, 64, 3, 1, 1),
    )
    return accelerate(copy.deepcopy(model)), model, torch.randn(16, 64, 16, 16)


def test_it_is_winograd_filtering() -> None:
    model, _, x = _models()
    assert {row.forward for row in explain(model, x).rows} == {"winograd"}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("channels_last", [False, True], ids=["contiguous", "channels_last"])
def test_numbers_and_format(channels_last: bool, compiled: bool) -> None:
    model, plain, x = _models()
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    call = torch.compile(model, fullgraph=True, backend="aot_eager") if compiled else model
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    output, expected = call(inputs[0]), plain(inputs[1])
    assert output.stride() == expected.stride()
    assert_same(output, expected)
    weight = torch.randn_like(expected)
    (output * weight).sum().backward()
    (expected * weight).sum().backward()
    assert_same(inputs[0].grad, inputs[1].grad)
    for (key, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert_same(ours.grad, theirs.grad, key)
    for (key, ours), theirs in zip(model.named_buffers(), plain.buffers(), strict=True):
        assert_same(ours.double(), theirs.double(), key)
    model.eval(), plain.eval()
    with torch.no_grad():
        assert_same(call(x), plain(x))


def test_functional_call_uses_the_parameters_it_is_given() -> None:
    """In eval mode too, where transformed weights may be remembered."""
    model, plain, x = _models()
    model.eval(), plain.eval()
    halved = {name: parameter.detach() * 0.5 for name, parameter in plain.named_parameters()}
    with torch.no_grad():
        assert_same(model(x), plain(x))
        assert_same(torch.func.functional_call(model, halved, (x,)), torch.func.functional_call(plain, halved, (x,)))
        assert_same(model(x), plain(x))
        for m in (model, plain):
            m.load_state_dict({name: tensor * 0.9 for name, tensor in m.state_dict().items()})
        assert_same(model(x), plain(x))


def test_gradient_penalty() -> None:
    model, plain, x = _models()
    for m in (model, plain):
        inputs = x[:4].clone().requires_grad_()
        (grad,) = torch.autograd.grad(m(inputs).sum(), inputs, create_graph=True)
        grad.square().sum().backward()
    for (key, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        if theirs.grad is not None:
            assert_same(ours.grad, theirs.grad, key)
