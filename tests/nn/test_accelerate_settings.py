"""Layers with settings that the fused operators cannot read go to PyTorch's forward, and raise what it raises."""

from __future__ import annotations

import copy
import gc
import re
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from accelerate_models import assert_same, counted_operators
from torch import Tensor, nn
from torch.func import functional_call, functionalize

import deepgen_fast as dgf


def _layers(transposed: bool) -> nn.Sequential:
    torch.manual_seed(1)
    convolution = nn.ConvTranspose2d if transposed else nn.Conv2d
    return nn.Sequential(convolution(64, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2))


SETTINGS: list[tuple[int, str, Any]] = [
    (0, "stride", 2),
    (0, "stride", (2,)),
    (0, "stride", [2, 2]),
    (0, "stride", np.int64(2)),
    (0, "stride", (np.int64(2), np.int64(2))),
    (0, "kernel_size", 4),
    (0, "kernel_size", (np.int64(4), np.int64(4))),
    (0, "padding", 1),
    (0, "padding", [1, 1]),
    (0, "padding", np.int64(1)),
    (0, "dilation", 1),
    (0, "output_padding", 0),
    (0, "output_padding", (np.int64(1), np.int64(1))),
    (0, "groups", np.int64(1)),
    (0, "groups", 1.0),
    (1, "momentum", torch.tensor(0.3)),
    (1, "momentum", np.float32(0.3)),
    (1, "momentum", True),
    (1, "momentum", "much"),
    (1, "eps", torch.tensor(1e-3)),
    (1, "eps", np.float32(1e-3)),
    (1, "eps", 0),
    (1, "eps", -1e-5),
    (1, "eps", "little"),
    (2, "negative_slope", np.float32(0.3)),
    (2, "negative_slope", torch.tensor(0.3)),
    (2, "negative_slope", True),
    (2, "negative_slope", 1),
]


def _outcome(model: nn.Module, *inputs: Any) -> Any:
    try:
        return model(*inputs)
    except Exception as error:  # what PyTorch raises, whatever it is
        return type(error)


# The mode matters to the batch norm alone, the kind of convolution to convolutions.
CASES = [(*setting, kind, True) for setting in SETTINGS if setting[0] == 0 for kind in (False, True)]
CASES += [
    (*setting, False, train)
    for setting in SETTINGS
    if setting[0] > 0
    for train in ((True, False) if setting[0] == 1 else (True,))
]


@pytest.mark.parametrize(("layer", "name", "value", "transposed", "train"), CASES, ids=repr)
def test_settings(layer: int, name: str, value: Any, transposed: bool, train: bool) -> None:
    plain = _layers(transposed).train(train)
    ours = dgf.accelerate(copy.deepcopy(plain))
    for model in (plain, ours):
        setattr(model[layer], name, value)
    x = torch.randn(8, 64, 16, 16)
    for part in (0, slice(None)):  # the convolution alone, and the whole
        expected, found = _outcome(plain[part], x), _outcome(ours[part], x)
        if isinstance(expected, Tensor):
            assert_same(found, expected)
        else:
            assert found is expected
    if isinstance(expected, Tensor):
        for one, two in zip(ours.buffers(), plain.buffers(), strict=True):
            assert_same(one.float(), two.float())
        assert dgf.explain(ours, x).rows


@pytest.mark.parametrize(
    "size",
    [
        torch.tensor([33, 33]),
        np.array([33, 33]),
        [torch.tensor(33)] * 2,
        torch.Size([33, 33]),
        [8, 64, 33, 33],
        [40, 40],
    ],
    ids=str,
)
def test_output_sizes(size: Any) -> None:
    plain = _layers(True)[0]
    ours = dgf.accelerate(copy.deepcopy(plain))
    expected, found = (_outcome(model, torch.randn(8, 64, 16, 16), size) for model in (plain, ours))
    assert found.shape == expected.shape if isinstance(expected, Tensor) else found is expected


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("recorded", [True, False])
def test_functionalize(recorded: bool, train: bool) -> None:
    plain = _layers(False).train(train)
    ours = dgf.accelerate(copy.deepcopy(plain))
    x = torch.randn(8, 64, 16, 16)
    for model in (plain, ours):
        with torch.set_grad_enabled(recorded), counted_operators() as calls:
            output = functionalize(model)(x)
            if recorded:
                output.square().mean().backward()
        model.output = output.detach()
    assert calls
    assert_same(ours.output, plain.output)
    for one, two in zip(ours.parameters(), plain.parameters(), strict=True):
        assert not recorded or torch.allclose(one.grad, two.grad, rtol=1e-4, atol=1e-6)
    for one, two in zip(ours.buffers(), plain.buffers(), strict=True):
        assert_same(one.float(), two.float())
    state = {name: value.detach().clone() for name, value in ours.state_dict().items()}
    called = functionalize(lambda state, x: functional_call(ours, state, (x,)))(state, x)
    assert called.shape == output.shape
    if train:
        assert state["1.num_batches_tracked"] == 2


def test_functionalize_of_operators() -> None:
    x, image = torch.randn(4, 9, requires_grad=True), torch.randn(2, 3, 8, 8)
    weight = torch.randn(4, 3, 4, 4, requires_grad=True)
    calls = {
        "kl": lambda: dgf.reparameterize_kl(x, x)[1],
        "bernoulli": lambda: dgf.bernoulli_log_likelihood(x, x.detach().sigmoid()),
        "gaussian": lambda: dgf.gaussian_log_likelihood(x, x.detach()),
        "loss": lambda: dgf.negative_elbo(x, x.detach().sigmoid(), x, x),
        "minibatch": lambda: dgf.minibatch_discrimination(x.unsqueeze(1)),
        "convolution": lambda: dgf.conv2d(image, weight, algorithm="winograd"),
        "layer": lambda: dgf.conv_bn_act(image, weight, training=True),
    }
    for name, call in calls.items():
        given = weight if name in ("convolution", "layer") else x
        found, expected = functionalize(call)(), call()
        torch.testing.assert_close(found, expected, msg=name)
        one, two = (torch.autograd.grad(value.square().sum(), given)[0] for value in (found, expected))
        torch.testing.assert_close(one, two, msg=name)


def test_accelerated_classes_can_go() -> None:
    """A class that was defined in a function, and what stands in for it, are collected after its last layer."""

    def made() -> weakref.ref:
        class Local(nn.Conv2d):
            pass

        model = dgf.accelerate(nn.Sequential(Local(3, 4, 3), nn.ReLU()))
        model(torch.randn(1, 3, 5, 5))
        dgf.explain(model, torch.randn(1, 3, 5, 5))
        return weakref.ref(Local)

    found = made()
    gc.collect()
    assert found() is None


def test_layers_share_the_class_that_stands_in() -> None:
    one, two = (dgf.accelerate(nn.Conv2d(3, 4, 3)) for _ in range(2))
    assert type(one) is type(two)


def test_a_model_about_to_be_quantized_warns() -> None:
    model = dgf.accelerate(_layers(False))
    with pytest.warns(UserWarning, match="restore"):
        model[0].qconfig = object()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model[0].qconfig = None
        dgf.restore(model)[0].qconfig = object()


@pytest.mark.parametrize("training", [True, False])
def test_a_norm_of_another_number_of_channels_fails_as_it_does_plain(training: bool) -> None:
    model = nn.Sequential(nn.Conv2d(64, 64, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU()).train(training)
    x = torch.randn(2, 64, 16, 16)
    with pytest.raises(Exception) as plain:
        model(x)
    with pytest.raises(type(plain.value), match=re.escape(str(plain.value))):
        dgf.accelerate(model)(x)
