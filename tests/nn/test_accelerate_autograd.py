"""Accelerated models in somebody's training step: what autograd allows of the plain model, it allows of ours."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from accelerate_models import assert_same, counted_operators
from torch import Tensor, nn

import deepgen_fast as dgf


class SqueezeExcite(nn.Module):
    """Channels weighted by what a 1x1 image of their means says: every layer on one pixel."""

    def __init__(self, channels: int = 512):
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
            nn.Hardsigmoid(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weigh(x)


IN_PLACE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "edge": (lambda: nn.Sequential(nn.ConvTranspose2d(100, 512, 4), nn.ELU(inplace=True)), (16, 100, 1, 1)),
    "edge of a discriminator": (
        lambda: nn.Sequential(nn.Conv2d(512, 100, 4), nn.Hardswish(inplace=True)),
        (16, 512, 4, 4),
    ),
    "squeeze and excite": (SqueezeExcite, (128, 512, 3, 3)),
    "one pixel": (lambda: nn.Sequential(nn.Conv2d(512, 512, 1), nn.SiLU(inplace=True)), (128, 512, 1, 1)),
    "3x3": (lambda: nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.SiLU(inplace=True)), (4, 64, 16, 16)),
    "normalized": (
        lambda: nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ELU(inplace=True)),
        (4, 64, 16, 16),
    ),
    "runs": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(100, 64, 4, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 4, 2, 1),
        ),
        (16, 100, 1, 1),
    ),
}


def _pair(make: Callable[[], nn.Module]) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(1)
    plain = make()
    return plain, dgf.accelerate(copy.deepcopy(plain))


def _assert_same_gradients(ours: nn.Module, plain: nn.Module) -> None:
    for (name, one), two in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert_same(one.grad, two.grad, name)


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("name", IN_PLACE)
def test_outputs_may_be_edited(name: str, last: bool) -> None:
    """By the next layer, and by whoever has called the model."""
    make, shape = IN_PLACE[name]
    plain, ours = _pair(make)
    x = torch.randn(shape)
    if last:
        x = x.to(memory_format=torch.channels_last)
    for model in (plain, ours):
        output = model(x)
        assert not output._is_view()
        if "ELU(" not in repr(plain):  # its own output is what it saves
            output += 1.0
        (output * torch.linspace(0.5, 1, output.numel()).view_as(output)).sum().backward()
    _assert_same_gradients(ours, plain)


LEAKY = {
    "leaky": lambda: nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.LeakyReLU(0.2)),
    "flat": lambda: nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.LeakyReLU(0.0)),
    "rising": lambda: nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.LeakyReLU(-0.5)),
    "normalized": lambda: nn.Sequential(
        nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2)
    ),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(64, 64, 3, padding=1), nn.LeakyReLU(0.2)),
}


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", LEAKY)
def test_a_residual_sum_in_place_after_a_leaky_relu(name: str, train: bool) -> None:
    plain, ours = _pair(LEAKY[name])
    x = torch.randn(4, 64, 16, 16)
    for model in (plain.train(train), ours.train(train)):
        output = model(x)
        output += x
        output.square().mean().backward()
    _assert_same_gradients(ours, plain)


def _saved(run: Callable[[], Tensor]) -> list[Tensor]:
    """What autograd keeps of a call, each memory once."""
    found: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return list(found.values())


def test_a_leaky_relu_keeps_a_byte_a_number() -> None:
    """Of a layer's output; the plain layer keeps four, the argument."""
    _, ours = _pair(LEAKY["leaky"])
    x = torch.randn(4, 64, 16, 16)
    size = sum(tensor.untyped_storage().nbytes() for tensor in _saved(lambda: ours(x)) if tensor.shape == x.shape)
    assert size == x.numel() * 4 + x.numel()


@pytest.mark.parametrize("wrap", ["hooks", "checkpoint", "offload", "compile"])
def test_kept_signs_where_saved_tensors_are_taken_away(wrap: str) -> None:
    plain, ours = _pair(LEAKY["leaky"])
    x = torch.randn(4, 64, 16, 16)

    def step(model: nn.Module) -> Tensor:
        output = model(x)
        output += x
        return output

    step(plain).square().mean().backward()
    if wrap == "hooks":  # a copy of each
        with torch.autograd.graph.saved_tensors_hooks(torch.clone, torch.clone):
            output = step(ours)
    elif wrap == "offload":
        with torch.autograd.graph.save_on_cpu():
            output = step(ours)
    elif wrap == "checkpoint":
        output = torch.utils.checkpoint.checkpoint(step, ours, use_reentrant=False)
    else:
        output = torch.compile(step, backend="aot_eager", fullgraph=True)(ours)
    output.square().mean().backward()
    _assert_same_gradients(ours, plain)


def _outputs_of_one_loss(kind: str, model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Of several calls: by size, some of them by PyTorch's layers and some by ours."""
    if kind == "crops":
        return [model(x[:, :, :size, :size]) for size in (8, 16, 24, 31)]
    if kind == "hook":
        handle = model[1].register_forward_hook(lambda *arguments: None)
        first = model(x)
        handle.remove()
        return [first, model(x)]
    if kind == "by hand":
        hidden = x
        for layer in model:
            hidden = layer(hidden)
        return [hidden, model(x)]
    return [model(x[:, :, :8, :8]), model(x)]


@pytest.mark.parametrize("kind", ["sizes", "hook", "by hand", "crops"])
def test_several_calls_in_one_loss(kind: str) -> None:
    """Neither PyTorch's batch norm nor ours may take the other's saved statistics away."""
    plain, ours = _pair(lambda: nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()))
    x = torch.randn(4, 64, 32, 32)
    for model in (plain, ours):
        with counted_operators() as calls:
            sum(output.square().mean() for output in _outputs_of_one_loss(kind, model, x)).backward()
    assert "conv_bn_act" in calls
    _assert_same_gradients(ours, plain)
    for one, two in zip(ours.buffers(), plain.buffers(), strict=True):
        assert_same(one.float(), two.float())
        assert one._version == two._version
