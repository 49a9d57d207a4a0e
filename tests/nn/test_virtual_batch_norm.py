"""Virtual batch norm: the formula, example by example; its gradients; what depends on what."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from deepgen_fast.nn import ReferenceBatch, VirtualBatchNorm1d, VirtualBatchNorm2d

SHAPES = {VirtualBatchNorm1d: [(3,), (3, 4)], VirtualBatchNorm2d: [(3, 4, 2)]}
CASES = [(layer, event) for layer, events in SHAPES.items() for event in events]


def network(layer: type, event: tuple[int, ...], count: int = 6) -> ReferenceBatch:
    norm = layer(event[0]).double()
    with torch.no_grad():
        norm.weight.normal_(1, 0.3), norm.bias.normal_()
    made = ReferenceBatch(norm, (count, *event)).double()
    made.set(2 * torch.randn(count, *event, dtype=torch.float64) + 1)
    return made


@pytest.mark.parametrize(("layer", "event"), CASES)
def test_each_example_is_normalized_by_the_reference_and_itself(layer, event):
    made = network(layer, event)
    norm, reference = made.network, made.reference
    x = torch.randn(4, *event, dtype=torch.float64)
    channels = (-1, *(1,) * (len(event) - 1))
    for example, found in zip(x, made(x), strict=True):
        joint = torch.cat([reference, example[None]]).transpose(0, 1).flatten(1)
        mean, std = joint.mean(1).view(channels), (joint.var(1, correction=0) + norm.eps).sqrt().view(channels)
        expected = (example - mean) / std * norm.weight.view(channels) + norm.bias.view(channels)
        torch.testing.assert_close(found, expected)
    whole = norm(torch.cat([reference, x]))[: len(reference)]
    batch_norm = nn.functional.batch_norm(reference, None, None, norm.weight, norm.bias, True, eps=norm.eps)
    torch.testing.assert_close(whole, batch_norm)


@pytest.mark.parametrize(("layer", "event"), CASES)
def test_gradients(layer, event):
    made = network(layer, event, count=3)
    x = torch.randn(2, *event, dtype=torch.float64, requires_grad=True)
    norm = made.network

    def run(x, reference, weight, bias):
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, torch.cat([reference, x]))

    leaves = (x, made.reference.clone().requires_grad_(), norm.weight, norm.bias)
    assert torch.autograd.gradcheck(run, leaves) and torch.autograd.gradgradcheck(run, leaves)


def convolutional() -> ReferenceBatch:
    torch.manual_seed(2)
    inner = nn.Sequential(
        nn.Conv2d(2, 5, 3), VirtualBatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3), VirtualBatchNorm2d(4), nn.Flatten()
    )
    made = ReferenceBatch(inner, (8, 2, 7, 7))
    made.set(torch.randn(8, 2, 7, 7))
    return made


def test_an_example_depends_on_itself_and_the_reference_alone():
    made, x = convolutional(), torch.randn(6, 2, 7, 7)
    together = made(x)
    for index in range(6):
        torch.testing.assert_close(made(x[index : index + 1])[0], together[index], rtol=1e-5, atol=1e-6)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(made(leaf)[2].sum(), leaf)
    assert gradient[2].any() and not gradient[[0, 1, 3, 4, 5]].any()
    torch.testing.assert_close(made.eval()(x), together)
    made.set(torch.randn(8, 2, 7, 7))
    assert not torch.allclose(made(x), together, atol=0.01)
    assert made(x[:0]).shape == (0, 36)


def test_weights_learn_through_the_references_statistics_too():
    made = convolutional()
    made.network[0].weight.grad = None
    made(torch.zeros(1, 2, 7, 7)).square().sum().backward()
    # Of a zero image the first convolution's weights reach the output through the reference alone.
    assert made.network[0].weight.grad.abs().max() > 1e-4


def test_the_reference_is_in_checkpoints():
    made, x = convolutional(), torch.randn(3, 2, 7, 7)
    other = convolutional()
    other.set(torch.zeros(8, 2, 7, 7))
    other.load_state_dict(made.state_dict())
    assert torch.equal(other(x), made(x))


def test_bfloat16_keeps_statistics_in_float32():
    norm = VirtualBatchNorm2d(3)
    made = ReferenceBatch(norm, (16, 3, 4, 4))
    made.set(torch.randn(16, 3, 4, 4) + 100)
    x = torch.randn(5, 3, 4, 4) + 100
    expected = made(x.bfloat16().float())
    found = made(x.bfloat16())
    assert found.dtype == torch.bfloat16
    made.reference = made.reference.bfloat16().float()
    torch.testing.assert_close(found.float(), made(x.bfloat16().float()), rtol=0.01, atol=0.01)
    assert expected.shape == found.shape


def test_errors_say_what_is_missing():
    with pytest.raises(RuntimeError, match="has no reference batch"):
        VirtualBatchNorm1d(3)(torch.zeros(4, 3))
    made = ReferenceBatch(VirtualBatchNorm1d(3), (4, 3))
    with pytest.raises(RuntimeError, match="reference batch is not set"):
        made(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"reference: expected \[4, 3\].*got \[5, 3\]"):
        made.set(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="reference_size: expected at least 2, got 1"):
        ReferenceBatch(nn.Identity(), (1, 3))
    made.set(torch.randn(4, 3))
    with pytest.raises(ValueError, match=r"input: expected \[4 or more, 3, ...\]"):
        made.network(torch.zeros(6, 2))
    with pytest.raises(ValueError, match="num_features: expected at least 1"):
        VirtualBatchNorm2d(0)
