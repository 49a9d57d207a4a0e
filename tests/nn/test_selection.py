"""What fused operators would not compute faster is left to PyTorch: same format, same operators, same backward."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

import deepgen_fast as dgf
from deepgen_fast import backends
from deepgen_fast.nn import selection
from deepgen_fast.nn.accelerate import modules
from deepgen_fast.ops.memory_format import channels_last

pytestmark = pytest.mark.skipif(backends.unavailable("cpu") is not None, reason="the compiled library is not here")


_NOTHING_TO_GAIN = selection._nothing_to_gain  # read before other tests' fixture puts it aside
_SMALL_LAYER = selection.SMALL_LAYER


@pytest.fixture(autouse=True)
def _as_measured(_nothing_is_too_small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What users' models meet."""
    monkeypatch.setattr(selection, "_nothing_to_gain", _NOTHING_TO_GAIN)
    monkeypatch.setattr(selection, "SMALL_LAYER", _SMALL_LAYER)


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each fused operator that ran, whether its image was channels-last."""
    seen: list[bool] = []
    compute = modules.compute

    def watched(run: object, input: Tensor, **options: object) -> Tensor:
        seen.append(channels_last(input))
        return compute(run, input, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(modules, "compute", watched)
    return seen


def pointwise(channels: int = 32) -> nn.Sequential:
    """What PyTorch's operator does best: 1x1 convolutions, and small ones."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1),
        nn.LeakyReLU(0.2),
    )


def engine(channels: int = 64) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU(), nn.Conv2d(channels, channels, 3, 1, 1))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_what_gains_nothing_is_pytorchs(training: bool, fused: list[bool]) -> None:
    torch.manual_seed(0)
    model = pointwise().train(training)
    plain, x = copy.deepcopy(model), torch.randn(4, 32, 8, 8)
    dgf.accelerate(model)
    for _ in range(2):  # asked, and remembered
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        output, expected = model(ours), plain(theirs)
        assert torch.equal(output, expected) and output.stride() == expected.stride()
        assert type(output.grad_fn) is type(expected.grad_fn)
        output.sum().backward(), expected.sum().backward()
        assert torch.equal(ours.grad, theirs.grad)
    assert fused == []
    assert all(row.runs == "PyTorch" for row in dgf.explain(model, x).rows)


@pytest.mark.parametrize("with_gradients", [True, False], ids=["gradients", "no gradients"])
def test_the_format_changes_only_for_what_gains_by_it(with_gradients: bool, fused: list[bool]) -> None:
    """Of two layers by Winograd filtering the first hands on channels-last; a 1x1 convolution gets what it would."""
    torch.manual_seed(0)
    seen: list[bool] = []
    model = nn.Sequential(*engine(), nn.Conv2d(64, 64, 1), *engine())
    plain = copy.deepcopy(model)
    dgf.accelerate(model)
    model[3].register_forward_pre_hook(lambda layer, given: seen.append(channels_last(given[0])))
    x = torch.randn(4, 64, 32, 32)
    with torch.set_grad_enabled(with_gradients):
        output, expected = model(x), plain(x)
    assert fused == [True, True, True, True] or fused == [True, False, True, False], fused
    assert fused[0] and fused[2]
    assert seen == [False]
    assert output.stride() == expected.stride()
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_a_layer_that_is_changed_after_it_was_left_is_right(fused: list[bool]) -> None:
    model = dgf.accelerate(pointwise())
    x = torch.randn(4, 32, 8, 8)
    model(x)
    model[3].weight = nn.Parameter(torch.randn(32, 32, 1, 1))
    model[3].register_forward_hook(lambda layer, given, output: output + 1.0)
    plain = dgf.restore(copy.deepcopy(model))
    torch.testing.assert_close(model(x), plain(x))
    assert fused == []


def test_a_layer_that_was_left_is_not_kept_alive() -> None:
    model = dgf.accelerate(pointwise())
    model(torch.randn(4, 32, 8, 8))
    gone = weakref.ref(model[0])
    del model
    gc.collect()
    assert gone() is None


def test_a_larger_batch_is_asked_about_again(fused: list[bool]) -> None:
    model = dgf.accelerate(engine())
    with torch.no_grad():
        model(torch.randn(1, 64, 4, 4))
        assert fused == []
        model(torch.randn(16, 64, 32, 32))
    assert len(fused) == 2
