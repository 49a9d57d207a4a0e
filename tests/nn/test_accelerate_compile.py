"""torch.compile of accelerated models: one graph, the eager numbers, and no stale graphs."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from accelerate_models import assert_same, block, build
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from deepgen_fast.nn.accelerate import accelerate, restore


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(("name", "backend"), [("generator", "aot_eager"), ("unet", "eager"), ("resnet", "eager")])
def test_one_graph_with_the_eager_numbers(name: str, backend: str) -> None:
    model, plain, x = build(name)
    accelerate(model)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    output, expected = compiled(inputs[0]), plain(inputs[1])
    assert_same(output, expected)
    weight = torch.randn_like(expected)
    (output * weight).sum().backward()
    (expected * weight).sum().backward()
    assert_same(inputs[0].grad, inputs[1].grad)
    for (key, ours), theirs in zip(model.named_buffers(), plain.buffers(), strict=True):
        assert_same(ours.double(), theirs.double(), key)


def test_no_recompilation_of_what_did_not_change_and_no_stale_graph_of_what_did() -> None:
    counter = CompileCounterWithBackend("eager")
    model, plain, x = build("discriminator")
    accelerate(model).eval(), plain.eval()
    compiled = torch.compile(model, backend=counter)
    for _ in range(3):
        assert_same(compiled(x), plain(x))
    assert counter.frame_count == 1
    model.main[4] = plain.main[4] = nn.Tanh()
    assert_same(compiled(x), plain(x))
    restore(model)
    assert_same(compiled(x), plain(x))
    assert counter.frame_count == 3  # both changes were seen


def test_accelerating_a_compiled_model() -> None:
    counter = CompileCounterWithBackend("eager")
    model = block().eval()
    plain = copy.deepcopy(model)
    compiled = torch.compile(model, backend=counter)
    x = torch.randn(2, 3, 8, 8)
    compiled(x)
    assert accelerate(compiled) is compiled
    assert_same(compiled(x), plain(x))
    assert counter.frame_count == 2


def test_hooks_there_when_compiled_fire() -> None:
    model = accelerate(block()).eval()
    model[1].register_forward_hook(lambda module, args, output: output * 2)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    x = torch.randn(2, 3, 8, 8)
    assert_same(compiled(x), model(x))


def test_dynamic_batch_sizes() -> None:
    model = accelerate(block())
    plain = copy.deepcopy(model)
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    for batch in (2, 3, 5):
        x = torch.randn(batch, 3, 8, 8)
        assert_same(compiled(x), restore(plain)(x))
