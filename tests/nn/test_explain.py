"""explain: what runs and why not another, of models and operators; nothing about the model changes."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate_models import MODELS, assert_same, block, build
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deepgen_fast import explain, ops
from deepgen_fast.nn import GeneratorBlock, accelerate
from deepgen_fast.nn.accelerate.classes import Accelerated


@pytest.mark.parametrize("name", MODELS)
def test_every_convolution_is_named_and_the_model_stays_as_it_is(name: str) -> None:
    model, plain, x = build(name)
    accelerate(model)
    random = torch.get_rng_state()
    said = explain(model, x)
    assert torch.equal(torch.get_rng_state(), random)
    for (key, ours), theirs in zip(model.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), key
    for key, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            row = said.row(key)
            assert row.reason and (row.runs == "PyTorch") == (row.forward == "")
    text = str(said)
    assert "training mode" in text and all(row.name in text and row.reason in text for row in said.rows)


def test_fused_layers_share_a_row() -> None:
    model, _, z = build("generator")
    said = explain(accelerate(model), z)
    row = said.row("main.4")
    assert row.name == "main.3, main.4, main.5" and row.runs == "conv_transpose_bn_act"
    assert row.layer == "ConvTranspose2d(16, 8, 4x4, stride 2x2) + BatchNorm2d + ReLU"
    assert {row.forward, row.input_gradient, row.weight_gradient} <= {"direct", "winograd", "gemm"}
    assert [r.name for r in said.rows][-1] == "main.9, main.10"


def test_a_plain_model_is_explained_as_it_would_be_and_stays_plain() -> None:
    model, plain, x = build("unet")
    said = explain(model, x)
    assert "is plain" in said.title
    assert said.rows == explain(accelerate(copy.deepcopy(model)), x).rows
    assert [type(m) for m in model.modules()] == [type(m) for m in plain.modules()]


def test_without_an_example_it_says_which_layers_are_accelerated() -> None:
    model, _, _ = build("unet")
    said = explain(model)
    assert "example" in said.title
    assert said.row("up").runs == "accelerated"
    assert said.row("middle.0").reason == "padding_mode='reflect'"


class Twice(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 2


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv2d(3, 6, 3, groups=3), "groups=3"),
        (nn.Conv2d(3, 4, 3, dilation=2), "dilation=(2, 2)"),
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), "padding_mode='circular'"),
        (nn.Conv2d(3, 4, 4, padding="same"), "padding='same' with an even kernel"),
        (nn.Conv3d(3, 4, 3), "not a layer that this library computes"),
        (nn.LazyConv2d(4, 3), "lazy: call accelerate again after the first batch"),
        (Twice(nn.ReLU()), "Twice has a forward of its own"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reasons_for_what_is_left_alone(layer: nn.Module, reason: str) -> None:
    said = explain(nn.Sequential(layer))
    assert said.row("0").runs == "PyTorch" and said.row("0").reason == reason


def test_reasons_that_only_a_call_shows() -> None:
    model = accelerate(nn.Sequential(block(), nn.Conv2d(4, 4, 3, 1, 1), nn.InstanceNorm2d(4), nn.ReLU()))
    model[0][1].register_forward_hook(lambda *_: None)
    x = torch.randn(2, 3, 8, 8)
    said = explain(model, x)
    assert said.row("0.1").reason == "has forward hooks"
    assert said.row("0.2").reason == "not called right after a convolution that this library computes"
    assert said.row("2").reason == "InstanceNorm2d is not a layer that this library computes"
    with FlopCounterMode(display=False):
        assert "watched" in explain(model, x).row("1").reason
    model[1].weight.data = model[1].weight.data.double()
    with pytest.raises(RuntimeError, match="type"):
        explain(model, x)
    resnet, _, x = build("resnet")
    said = explain(accelerate(resnet), x)
    assert "called by ResidualBlock" in said.row("layers.0.bn1").reason
    resnet.unused = accelerate(nn.Conv2d(3, 4, 3))
    assert explain(resnet, x).row("unused").reason == "not called with this example"


def test_blocks_of_this_library() -> None:
    model = nn.Sequential(GeneratorBlock(4, 6), GeneratorBlock(6, 3, norm=False, activation="tanh"))
    x = torch.randn(2, 4, 4, 4)
    plain = copy.deepcopy(model)
    accelerate(model)
    assert not any(isinstance(module, Accelerated) for block in model for module in block.modules())
    assert_same(model(x), plain(x))
    assert [(row.name, row.runs) for row in explain(model, x).rows] == [
        ("0.0, 0.1, 0.2", "conv_transpose_bn_act"),
        ("1.0, 1.1", "conv_transpose_bn_act"),
    ]
    model[0][2].register_forward_hook(lambda *_: None)
    said = explain(model, x)
    assert said.row("0").runs == "PyTorch" and said.row("0").reason == "ReLU has forward hooks"


def test_quantized_and_scripted_parts_are_named() -> None:
    qat = torch.ao.nn.intrinsic.ConvBnReLU2d(nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU())
    said = explain(nn.Sequential(block(), qat))
    assert said.row("1").reason == said.row("1.0").reason == "quantized, or on the way to it"


def test_a_failing_forward_leaves_the_model_as_it_was() -> None:
    model, plain, x = build("discriminator")
    with pytest.raises(RuntimeError):
        explain(model, x[:, :2])
    assert not any(isinstance(module, Accelerated) for module in model.modules())
    assert_same(model.eval()(x), plain.eval()(x))


def test_operators() -> None:
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 4, 4)
    (row,) = explain(ops.conv2d, x, weight, algorithm="direct").rows
    assert row.runs == "conv2d" and row.forward == "direct" and "was asked for" in row.reason
    (row,) = explain(ops.conv_transpose2d, torch.randn(2, 4, 8, 8), weight).rows
    assert row.reason
    (row,) = explain(ops.bernoulli_log_likelihood, torch.zeros(2, 3), torch.ones(2, 3)).rows
    assert row.backend in ("cpu", "reference") and row.reason
    (row,) = explain(ops.bernoulli_log_likelihood, torch.zeros(2, 3), torch.ones(2, 3), backend="reference").rows
    assert row.backend == "reference" and row.reason == "backend='reference' was asked for"
    for wrong in (torch.relu, 3, "conv2d"):
        with pytest.raises(TypeError, match="model_or_op must be"):
            explain(wrong, x)
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        explain(ops.conv2d)
    with pytest.raises(TypeError, match=r"weight must be a torch\.Tensor"):
        explain(ops.conv2d, x, 3)


class Keeper(nn.Module):
    """Changes all that a forward can: parameters, buffers (in place, and by another), attributes, its own generator."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.u = nn.Parameter(torch.ones(4), requires_grad=False)
        self.register_buffer("average", torch.zeros(4))
        self.register_buffer("count", torch.zeros(()))
        self.generator = torch.Generator().manual_seed(3)
        self.calls, self.last = 0, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = self.conv(x)
        self.u.data.mul_(2.0).add_(torch.randn(4, generator=self.generator))
        self.average = 0.9 * self.average + output.mean((0, 2, 3)).detach()
        self.count += 1
        self.calls, self.last = self.calls + 1, output
        return output


def test_a_model_is_as_before() -> None:
    model = Keeper()
    state = {name: (value, value.clone(), value._version) for name, value in model.state_dict(keep_vars=True).items()}
    drawn = model.generator.get_state()
    explain(model, torch.randn(2, 3, 6, 6))
    for name, value in model.state_dict(keep_vars=True).items():
        assert value is state[name][0] and torch.equal(value, state[name][1]), name
    assert model.calls == 0 and model.last is None and torch.equal(model.generator.get_state(), drawn)
    model.eval()(torch.randn(2, 3, 6, 6)).sum().backward()


def test_a_graph_from_before_can_still_go_back() -> None:
    model = accelerate(nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1), nn.BatchNorm2d(64), nn.ReLU()))
    loss = model(torch.randn(4, 64, 8, 8)).sum()
    explain(model, torch.randn(4, 64, 32, 32))
    loss.backward()
