"""Hooks fire wherever they are, whenever they were added, with the tensors that the plain model would show them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from accelerate_models import assert_same, block, build, counted_operators
from torch import nn

from deepgen_fast.nn.accelerate import accelerate


def _nested() -> nn.Sequential:
    return nn.Sequential(block(3, 4), block(4, 5))


REGISTER: dict[str, Callable[[nn.Module, Callable], Any]] = {
    "forward": lambda module, hook: module.register_forward_hook(hook),
    "forward, with kwargs": lambda module, hook: module.register_forward_hook(hook, with_kwargs=True),
    "forward pre": lambda module, hook: module.register_forward_pre_hook(hook),
    "backward": lambda module, hook: module.register_full_backward_hook(hook),
    "backward pre": lambda module, hook: module.register_full_backward_pre_hook(hook),
}


@pytest.mark.parametrize("where", ["0.0", "0.1", "0.2", "0", "1.1", ""], ids=lambda where: where or "outermost")
@pytest.mark.parametrize("kind", REGISTER)
def test_hooks_fire_with_the_plain_models_tensors(kind: str, where: str) -> None:
    model = _nested()
    plain = copy.deepcopy(model)
    accelerate(model)
    x = torch.randn(2, 3, 16, 16)
    seen: list[list[torch.Tensor]] = [[], []]
    handles = []
    for which, m in enumerate((model, plain)):

        def hook(module: nn.Module, *tensors: Any, which: int = which) -> None:
            flat = [t for group in tensors for t in (group if isinstance(group, tuple) else (group,))]
            # A copy: the activations after it work in place.
            seen[which] += [t.detach().clone() for t in flat if isinstance(t, torch.Tensor)]

        handles.append(REGISTER[kind](m.get_submodule(where), hook))
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for m, value in zip((model, plain), inputs, strict=True):
        (m(value) * torch.linspace(0, 1, 5).view(-1, 1, 1)).sum().backward()
    assert len(seen[0]) == len(seen[1]) > 0
    for ours, theirs in zip(*seen, strict=True):
        assert_same(ours, theirs)
    assert_same(inputs[0].grad, inputs[1].grad)

    # What has a hook is called; the rest stays fused, and all of it when the hook goes.
    with counted_operators() as calls:
        model(x)
    assert calls.count("conv_bn_act") == (2 if where in ("0", "") else 1) or where == "0.2"
    for handle in handles:
        handle.remove()
    with counted_operators() as calls:
        model(x)
    assert calls == ["conv_bn_act"] * 2


def test_a_hook_may_change_what_passes() -> None:
    model = accelerate(_nested())
    x = torch.randn(2, 3, 16, 16)
    before = model(x)
    model[0][1].register_forward_hook(lambda module, args, output: torch.zeros_like(output))
    model[1].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    assert not torch.allclose(model(x), before)
    plain = copy.deepcopy(model)
    from deepgen_fast.nn.accelerate import restore

    assert_same(model.eval()(x), restore(plain).eval()(x))


def test_feature_extraction_with_hooks_on_a_model() -> None:
    """The usual way to get at intermediate activations: forward hooks that fill a dict."""
    features: dict[str, torch.Tensor] = {}
    model, plain, x = build("discriminator")
    for m, key in ((accelerate(model), "ours"), (plain, "plain")):
        m.main[6].register_forward_hook(lambda _, __, output, key=key: features.__setitem__(key, output.detach()))
        m(x)
    assert_same(features["ours"], features["plain"])


def test_layers_with_a_forward_of_their_own_run_it() -> None:
    """A forward set on one layer, at any time: offloading and adapter libraries do it."""
    model = accelerate(_nested())
    x = torch.randn(2, 3, 16, 16)
    called = []
    for place in ("0.0", "0.1", "0.2"):
        layer = model.get_submodule(place)
        inner = layer.forward
        layer.forward = lambda *args, inner=inner, place=place: (called.append(place), inner(*args))[1]
    assert torch.isfinite(model(x)).all()
    assert called == ["0.0", "0.1", "0.2"]


def test_padding_mode_changed_on_the_layer_is_seen() -> None:
    """The way to make a generator's images tile: setting ``padding_mode`` on its layers afterwards."""
    model = accelerate(_nested()).eval()
    plain = copy.deepcopy(model)
    for m in (model, plain):
        m[0][0].padding_mode = "circular"
        m[0][0]._reversed_padding_repeated_twice = [1, 1, 1, 1]
    from deepgen_fast.nn.accelerate import restore

    restore(plain)
    x = torch.randn(2, 3, 16, 16)
    with counted_operators() as calls:
        assert_same(model(x), plain(x))
    assert calls == ["conv_bn_act"]


def test_layers_compiled_one_by_one_are_called() -> None:
    model = accelerate(block())
    model[1].compile(backend="eager")
    with counted_operators() as calls:
        model(torch.randn(2, 3, 8, 8))
    assert calls == ["conv2d"]
