"""GeneratorBlock and DiscriminatorBlock: the layers of a plain nn.Sequential, its state, its numbers, its hooks."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deepgen_fast as dgf
from deepgen_fast.ops.kernels import has_kernel

BLOCKS = (dgf.nn.GeneratorBlock, dgf.nn.DiscriminatorBlock)
ALGORITHMS = ("auto", "direct", *(("winograd",) if has_kernel("conv2d", "cpu") else ()))


def plain(block: nn.Sequential) -> nn.Sequential:
    """The same layers, with copies of the parameters, in an ordinary Sequential."""
    return nn.Sequential(*copy.deepcopy(list(block)))


def images(block: nn.Sequential, dtype: torch.dtype = torch.float64, batch: int = 4) -> Tensor:
    return torch.randn(batch, block[0].in_channels, 6, 8, dtype=dtype)


def assert_same_state(block: nn.Module, other: nn.Module) -> None:
    one, two = block.state_dict(), other.state_dict()
    assert list(one) == list(two)
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-10, atol=1e-10, msg=name)


def gradients(module: nn.Module, x: Tensor, incoming: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    return list(torch.autograd.grad(module(x), [x, *module.parameters()], incoming))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "sigmoid", None])
@pytest.mark.parametrize("norm", [True, False], ids=["norm", "no norm"])
@pytest.mark.parametrize("block", BLOCKS)
def test_equals_the_plain_layers(block: Any, norm: bool, activation: str | None, algorithm: str) -> None:
    """Values, gradients and buffers, in training and in evaluation, with and without gradients."""
    ours = block(3, 5, norm=norm, activation=activation, algorithm=algorithm, dtype=torch.float64)
    theirs = plain(ours)
    assert ours.unsupported_reason() is None
    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        x = images(ours)
        found, expected = ours(x), theirs(x)
        torch.testing.assert_close(found, expected)
        incoming = torch.randn_like(expected)
        for one, two in zip(gradients(ours, x, incoming), gradients(theirs, x, incoming), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-10)
        with torch.no_grad():
            torch.testing.assert_close(ours(x), theirs(x))
        assert_same_state(ours, theirs)


@pytest.mark.parametrize("options", [
    {"momentum": None}, {"momentum": 0.7, "eps": 0.1}, {"affine": False}, {"track_running_stats": False},
    {"bias": True}, {"kernel_size": 3, "stride": 1}, {"kernel_size": 5, "padding": 2}, {"kernel_size": (4, 2)},
    {"activation": "leaky_relu", "negative_slope": -0.3}, {"norm": False, "bias": False},
    {"norm": False, "activation": "leaky_relu", "negative_slope": -0.3},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("block", BLOCKS)
def test_options_of_the_layers(block: Any, options: dict[str, Any]) -> None:
    """Each is the plain layer's: the running statistics of several steps too."""
    ours = block(3, 5, **options, dtype=torch.float64)
    theirs = plain(ours)
    for training in (True, True, True, False):
        ours.train(training), theirs.train(training)
        x = images(ours)
        torch.testing.assert_close(ours(x), theirs(x))
        assert_same_state(ours, theirs)


@pytest.mark.parametrize("block", BLOCKS)
def test_state_dict_interchanges(block: Any) -> None:
    """Old checkpoints load, new ones load into plain layers; a seed initializes both alike."""
    torch.manual_seed(3)
    ours = block(3, 5)
    torch.manual_seed(3)
    convolution = nn.ConvTranspose2d if block is BLOCKS[0] else nn.Conv2d
    theirs = nn.Sequential(convolution(3, 5, 4, 2, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU())
    assert_same_state(ours, theirs)
    other = block(3, 5)
    other.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(other.state_dict())
    assert_same_state(other, theirs)


@pytest.mark.parametrize("block", BLOCKS)
def test_training_some_steps(block: Any) -> None:
    """Weights and running statistics after Adam's steps, in float32, channels_last and contiguous."""
    for memory_format in (torch.contiguous_format, torch.channels_last):
        ours = block(3, 5, algorithm=ALGORITHMS[-1]).to(memory_format=memory_format)
        theirs = plain(ours)
        for module in (ours, theirs):
            optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
            torch.manual_seed(5)
            for _ in range(10):
                x = images(module, torch.float32).to(memory_format=memory_format)
                loss = (module(x) - 1).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        for (name, one), two in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5, msg=name)


class Critic(nn.Module):
    """Two blocks and a mean, as a small discriminator."""

    def __init__(self, norm: bool, algorithm: str) -> None:
        super().__init__()
        options: dict[str, Any] = {"norm": norm, "algorithm": algorithm, "dtype": torch.float64}
        self.layers = nn.Sequential(
            dgf.nn.DiscriminatorBlock(3, 4, **options), dgf.nn.DiscriminatorBlock(4, 2, activation="tanh", **options)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1).mean(1)


def gradient_penalty(critic: nn.Module, x: Tensor, kind: str) -> list[Tensor]:
    """Gradients of the parameters through WGAN-GP's and R1's penalties."""
    x = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    norms = grad.flatten(1).norm(dim=1)
    penalty = ((norms - 1) ** 2).mean() if kind == "wgan-gp" else norms.square().mean()
    return list(torch.autograd.grad(penalty, list(critic.parameters()), materialize_grads=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("norm", [True, False], ids=["norm", "no norm"])
@pytest.mark.parametrize("kind", ["wgan-gp", "r1"])
def test_gradient_penalties(kind: str, norm: bool, algorithm: str) -> None:
    ours = Critic(norm, algorithm)
    theirs = copy.deepcopy(ours)
    theirs.layers = nn.Sequential(*(plain(block) for block in ours.layers))
    x = torch.randn(4, 3, 8, 12, dtype=torch.float64)
    for one, two in zip(gradient_penalty(ours, x, kind), gradient_penalty(theirs, x, kind), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("register", ["forward_hook", "forward_pre_hook", "full_backward_hook"])
@pytest.mark.parametrize("block", BLOCKS)
def test_hooks_of_inner_layers_fire(block: Any, register: str, index: int) -> None:
    """No layer with a hook is skipped; without it the fused operator runs again."""
    ours = block(3, 5)
    ours[-1].inplace = False  # a backward hook's output may not be changed in place
    calls: list[int] = []
    handle = getattr(ours[index], f"register_{register}")(lambda *_: calls.append(index))
    assert "hooks" in ours.unsupported_reason()
    ours(images(ours, torch.float32).requires_grad_()).sum().backward()
    assert calls == [index]
    handle.remove()
    assert ours.unsupported_reason() is None


def test_hooks_of_the_block_fire() -> None:
    """On the container they are PyTorch's matter, and what a hook returns counts."""
    ours = dgf.nn.GeneratorBlock(3, 5)
    ours.register_forward_hook(lambda module, inputs, output: 0 * output + 7)
    assert ours.unsupported_reason() is None
    assert (ours(images(ours, torch.float32)) == 7).all()


@pytest.mark.parametrize("block", BLOCKS)
def test_spectral_norm(block: Any) -> None:
    """A parametrized weight is the one that is convolved with, and it trains; the old hook form too."""
    new = nn.utils.parametrizations
    for wrap in (new.spectral_norm, new.weight_norm, nn.utils.spectral_norm):
        torch.manual_seed(1)
        ours = block(3, 5, dtype=torch.float64)
        theirs = plain(ours)
        torch.manual_seed(2)
        wrap(ours[0])
        torch.manual_seed(2)
        wrap(theirs[0])
        assert (ours.unsupported_reason() is None) == (wrap is not nn.utils.spectral_norm)
        x = images(ours)
        for module in (ours, theirs):
            module(x).square().sum().backward()
        for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-9, atol=1e-10)
        assert_same_state(ours, theirs)


def test_replaced_layers_run() -> None:
    """Another norm, another activation, one more layer, a forward of one's own."""
    ours = dgf.nn.GeneratorBlock(3, 5)
    x = images(ours, torch.float32)
    for index, layer in ((1, nn.InstanceNorm2d(5)), (2, nn.GELU()), (0, nn.ConvTranspose2d(3, 5, 4, 2, 1, dilation=2))):
        changed = copy.deepcopy(ours)
        changed[index] = layer
        torch.testing.assert_close(changed(x), plain(changed)(x))
        assert changed.unsupported_reason() is not None
    longer = copy.deepcopy(ours)
    longer.append(nn.Dropout(1.0))
    assert "Dropout" in longer.unsupported_reason() and not longer(x).any()
    own = copy.deepcopy(ours)
    own[2].forward = lambda value: value + 100
    assert own(x).min() > 50
    slope = dgf.nn.DiscriminatorBlock(3, 5)
    slope[2].negative_slope = 0.5
    torch.testing.assert_close(slope(x), plain(slope)(x))


def test_copies_slices_and_pickles() -> None:
    """As any module: deepcopy, pickle, torch.save, and slices that are plain Sequentials."""
    ours = dgf.nn.GeneratorBlock(3, 5).eval()
    x = images(ours, torch.float32)
    expected = ours(x)
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), torch.load(buffer, weights_only=False)):
        assert type(other) is dgf.nn.GeneratorBlock and torch.equal(other(x), expected)
    assert type(ours[:2]) is nn.Sequential and len(ours[:2]) == 2
    torch.testing.assert_close(ours[2](ours[:2](x)), expected)


def test_frozen_layers_and_frozen_statistics() -> None:
    """The norm alone in evaluation, weights without gradients."""
    ours = dgf.nn.DiscriminatorBlock(3, 5, dtype=torch.float64)
    ours[1].running_mean.normal_(), ours[1].running_var.uniform_(0.5, 2)
    theirs = plain(ours)
    x = images(ours)
    for module in (ours, theirs):
        module[1].eval()
        module[0].weight.requires_grad_(False)
        module(x).square().sum().backward()
    assert ours[0].weight.grad is None
    torch.testing.assert_close(ours[1].weight.grad, theirs[1].weight.grad)
    assert_same_state(ours, theirs)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("block", BLOCKS)
def test_memory_format(block: Any, memory_format: torch.memory_format) -> None:
    """The result's strides are those of the plain layers."""
    for training in (True, False):
        ours = block(3, 5, algorithm=ALGORITHMS[-1]).train(training)
        x = images(ours, torch.float32).to(memory_format=memory_format)
        assert ours(x).stride() == plain(ours)(x).stride()
        with torch.no_grad():
            assert ours(x).stride() == plain(ours)(x).stride()


def test_autocast() -> None:
    """bf16 out, float32 parameters and statistics, as the plain layers."""
    ours = dgf.nn.DiscriminatorBlock(3, 5)
    theirs = plain(ours)
    x = images(ours, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = ours(x), theirs(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=3e-2, atol=3e-2)
    torch.testing.assert_close(ours[1].running_var, theirs[1].running_var, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("block", BLOCKS)
def test_one_value_a_channel_raises_as_in_pytorch(block: Any) -> None:
    """There is no variance of one number; in evaluation there need be none."""
    ours = block(3, 5, kernel_size=4, stride=1, padding=0) if block is BLOCKS[1] else block(3, 5, 1, 1, 0)
    x = torch.randn(1, 3, 4, 4) if block is BLOCKS[1] else torch.randn(1, 3, 1, 1)
    for module in (ours, plain(ours)):
        with pytest.raises(ValueError, match="more than 1 value per channel when training"):
            module(x)
        module.eval()(x)


def test_empty_batch() -> None:
    """No examples move no statistics."""
    ours = dgf.nn.GeneratorBlock(3, 5)
    theirs = plain(ours)
    x = torch.randn(0, 3, 4, 4)
    assert ours(x).shape == theirs(x).shape
    torch.testing.assert_close(ours[1].running_var, theirs[1].running_var)
    ours(x.requires_grad_()).sum().backward()


@pytest.mark.parametrize("block", BLOCKS)
def test_compiled(block: Any) -> None:
    """One graph, in training and evaluation; buffers move as in eager."""
    torch.compiler.reset()
    ours = block(3, 5, algorithm=ALGORITHMS[-1])
    theirs = plain(ours)
    compiled = torch.compile(ours, fullgraph=True)
    for training in (True, False):
        ours.train(training), theirs.train(training)
        x = images(ours, torch.float32)
        incoming = torch.randn_like(plain(theirs)(x).detach())
        for one, two in zip(gradients(compiled, x, incoming), gradients(theirs, x, incoming), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
        for name, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[name], rtol=1e-4, atol=1e-5, msg=name)


def test_unknown_activation() -> None:
    with pytest.raises(ValueError, match=r"activation must be one of 'none', 'relu'.*got 'gelu'"):
        dgf.nn.GeneratorBlock(3, 5, activation="gelu")
