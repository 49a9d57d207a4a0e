"""Accelerated models give the plain models' numbers: outputs, gradients, running statistics, training."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from accelerate_models import MODELS, Generator, assert_same, block, build, counted_operators
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from deepgen_fast.nn.accelerate import accelerate, restore

# The operators that run one after the other in a forward.
FUSED_CALLS = {
    "generator": ["conv_transpose_bn_act"] * 4,
    "discriminator": ["conv_bn_act"] * 4,
    "conv_vae": ["conv_bn_act"] * 3 + ["conv_transpose_bn_act"] * 3 + ["conv_bn_act"],
    "resnet": ["conv_bn_act", *["conv2d", "conv2d", "conv_bn_act"] * 2],
    "unet": ["conv_bn_act", "conv2d", "conv_transpose2d", "conv_bn_act", "conv2d"],
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", MODELS)
def test_numbers(name: str, training: bool) -> None:
    model, plain, x = build(name)
    assert accelerate(model) is model
    model.train(training), plain.train(training)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    with counted_operators() as calls:
        output = model(inputs[0])
    expected = plain(inputs[1])
    assert calls == FUSED_CALLS[name]
    assert_same(output, expected, "output")
    weight = torch.randn_like(expected)
    (output * weight).sum().backward()
    (expected * weight).sum().backward()
    assert_same(inputs[0].grad, inputs[1].grad, "input gradient")
    for (key, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        if key.endswith("bias") and theirs.grad.abs().max() < 1e-4:  # batch norm takes the bias away: all is rounding
            assert ours.grad.abs().max() < 1e-4, key
        else:
            assert_same(ours.grad, theirs.grad, key)
    for (key, ours), theirs in zip(model.named_buffers(), plain.buffers(), strict=True):
        assert_same(ours.double(), theirs.double(), key)


@pytest.mark.parametrize("built", ["before", "after"])
def test_training_with_an_optimizer_built_before_or_after(built: str) -> None:
    model, plain, x = build("discriminator")
    optimizers = [torch.optim.Adam(m.parameters(), 1e-3) for m in (model, plain)]
    accelerate(model)
    if built == "after":
        optimizers[0] = torch.optim.Adam(model.parameters(), 1e-3)
    losses: list[list[float]] = [[], []]
    for _ in range(4):
        for which, m in enumerate((model, plain)):
            optimizers[which].zero_grad()
            loss = nn.functional.binary_cross_entropy(m(x).view(-1), torch.ones(4))
            loss.backward()
            optimizers[which].step()
            losses[which].append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[1][-1] < losses[1][0]


def test_double_backward() -> None:
    """A gradient penalty (WGAN-GP) through every layer."""
    model, plain, x = build("discriminator")
    accelerate(model).eval(), plain.eval()
    for m in (model, plain):
        inputs = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(m(inputs).sum(), inputs, create_graph=True)
        ((grad.flatten(1).norm(dim=1) - 1) ** 2).mean().backward()
    for (key, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        if theirs.grad is not None:
            assert_same(ours.grad, theirs.grad, key)


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(4, affine=False),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.BatchNorm2d(4, momentum=None),
        nn.BatchNorm2d(4, momentum=0.3, eps=1e-2),
    ],
    ids=["no affine", "no statistics", "cumulative average", "momentum and eps"],
)
def test_options_of_batch_norm(norm: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), norm, nn.ReLU())
    plain = copy.deepcopy(model)
    accelerate(model)
    for training in (True, True, False):
        model.train(training), plain.train(training)
        x = torch.randn(4, 3, 8, 8)
        with counted_operators() as calls:
            assert_same(model(x), plain(x))
        assert calls == ["conv_bn_act"]
        for ours, theirs in zip(model.buffers(), plain.buffers(), strict=True):
            assert_same(ours.double(), theirs.double())


def test_frozen_batch_norm_in_a_training_model() -> None:
    model, plain, x = build("discriminator")
    accelerate(model)
    for m in (model, plain):
        m.train()
        for layer in m.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
    assert_same(model(x), plain(x))
    for ours, theirs in zip(model.buffers(), plain.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_one_value_a_channel_is_refused_in_training_as_by_batch_norm() -> None:
    model = accelerate(nn.Sequential(nn.Conv2d(3, 4, 4), nn.BatchNorm2d(4)))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(torch.randn(1, 3, 4, 4))


def test_bad_input_raises_as_the_plain_model_does() -> None:
    plain = block()
    model = accelerate(copy.deepcopy(plain))
    for bad in (torch.randn(2, 5, 8, 8), torch.randn(2, 3, 8, 8).double(), torch.randn(2, 3, 8), "text"):
        raised = []
        for m in (model, plain):
            with pytest.raises(Exception) as error:  # whatever PyTorch raises
                m(bad)
            raised.append((type(error.value), str(error.value)))
        assert raised[0] == raised[1]
    assert torch.equal(model[1].num_batches_tracked, torch.tensor(0))


def test_layers_one_by_one_and_slices() -> None:
    """A run works when somebody walks the layers by hand, and a slice is accelerated too."""
    model, plain, z = build("generator")
    accelerate(model).eval(), plain.eval()
    expected = plain(z)
    value = z
    with counted_operators() as calls:
        for layer in model.main:
            value = layer(value)
    assert calls == ["conv_transpose2d"] * 4
    assert_same(value, expected)
    with counted_operators() as calls:
        assert_same(model.main[3:](model.main[:3](z)), expected)
    assert calls == ["conv_transpose_bn_act"] * 4
    assert_same(model.main[4:](model.main[:4](z)), expected, "cut in a run")
    assert isinstance(model.main[:3], nn.Sequential) and len(model.main) == 11


def test_layers_added_and_replaced_later() -> None:
    model = accelerate(block())
    model.append(nn.Conv2d(4, 5, 3, 1, 1))
    model[2] = nn.Tanh()
    plain = restore(copy.deepcopy(model)).eval()
    x = torch.randn(2, 3, 8, 8)
    with counted_operators() as calls:
        assert_same(model.eval()(x), plain(x))
    assert calls == ["conv_bn_act"]  # what was added is plain until accelerate is called again
    with counted_operators() as calls:
        assert_same(accelerate(model)(x), plain(x))
    assert calls == ["conv_bn_act", "conv2d"]


def test_memory_formats_as_the_plain_model_returns_them() -> None:
    for name in ("generator", "discriminator", "unet", "conv_vae"):
        for last_weights in (False, True):
            for last_input in (False, True):
                model, plain, x = build(name)
                accelerate(model)
                if last_weights:
                    model, plain = (m.to(memory_format=torch.channels_last) for m in (model, plain))
                if last_input:
                    x = x.to(memory_format=torch.channels_last)
                case = (name, last_weights, last_input)
                if name == "conv_vae" and (last_weights or last_input):
                    model, plain = model.encoder, plain.encoder  # its view is for contiguous images
                output, expected = model(x), plain(x)
                assert output.stride() == expected.stride(), case
                assert_same(output, expected, str(case))


def test_images_stay_channels_last_between_operators_that_gain_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from deepgen_fast.nn import selection
    from deepgen_fast.nn.accelerate import modules
    from deepgen_fast.ops.memory_format import channels_last

    seen = []
    compute = modules.compute

    def watched(run, x, **given):
        seen.append(channels_last(x))
        return compute(run, x, **given)

    monkeypatch.setattr(modules, "compute", watched)
    monkeypatch.setattr(selection, "_remembered", functools.lru_cache(lambda layer: selection.Selection(None, True)))
    model, _, z = build("generator")
    image = accelerate(model)(z)
    assert seen == [True, True, True, True]
    assert image.is_contiguous()
    image.view(4, -1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtypes(dtype: torch.dtype) -> None:
    model, plain, x = build("generator")
    accelerate(model).to(dtype), plain.to(dtype)
    output, expected = model(x.to(dtype)), plain(x.to(dtype))
    assert output.dtype == dtype
    tolerance = {torch.float64: 1e-10, torch.bfloat16: 4e-2}[dtype]
    assert (output - expected).abs().max() <= tolerance


def test_autocast() -> None:
    model, plain, x = build("discriminator")
    accelerate(model)
    with torch.autocast("cpu", torch.bfloat16):
        output, expected = model(x), plain(x)
    assert output.dtype == expected.dtype
    assert (output.float() - expected.float()).abs().max() <= 2e-2


def test_meta_device() -> None:
    model, _, x = build("unet")
    assert accelerate(model).to("meta")(x.to("meta")).shape == (4, 2, 15, 17)


def test_a_hook_on_every_module_sees_every_layer() -> None:
    model, plain, x = build("generator")
    accelerate(model)
    names: dict[str, list[str]] = {"ours": [], "plain": []}
    for key, m in (("ours", model), ("plain", plain)):
        handle = register_module_forward_hook(lambda module, _, __, key=key: names[key].append(type(module).__name__))
        m(x)
        handle.remove()
    assert names["ours"] == names["plain"] and len(names["ours"]) == 13


def test_unbatched_image() -> None:
    model, plain = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.ReLU()), None
    plain = copy.deepcopy(model)
    x = torch.randn(3, 8, 8)
    assert_same(accelerate(model)(x), plain(x))


def test_generator_of_dcgan_tutorial_initializes_after_acceleration() -> None:
    """``weights_init`` of the tutorial goes by the name of the class."""

    def weights_init(m: nn.Module) -> None:
        classname = m.__class__.__name__
        if classname.find("Conv") != -1:
            nn.init.normal_(m.weight.data, 0.0, 0.02)
        elif classname.find("BatchNorm") != -1:
            nn.init.normal_(m.weight.data, 1.0, 0.02)
            nn.init.constant_(m.bias.data, 0)

    torch.manual_seed(3)
    model = Generator()
    plain = copy.deepcopy(model)
    torch.manual_seed(4)
    accelerate(model).apply(weights_init)
    torch.manual_seed(4)
    plain.apply(weights_init)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
