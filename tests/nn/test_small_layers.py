"""Layers with little to multiply are left to PyTorch, in a Sequential, alone and in a block; explain() says so."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import deepgen_fast as dgf
from deepgen_fast.nn import selection


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The runs that fused operators computed."""
    from deepgen_fast.nn import blocks, fused_groups
    from deepgen_fast.nn.accelerate import modules

    seen: list[object] = []

    def compute(run: fused_groups.FusedGroup, *args: object, **options: object) -> torch.Tensor:
        seen.append(run)
        return fused_groups.compute(run, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(modules, "compute", compute)
    monkeypatch.setattr(blocks, "compute", compute)
    return seen


def sequential() -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU())


@pytest.mark.parametrize(("limit", "expected"), [(0.0, 1), (1e9, 0)], ids=["large enough", "too small"])
@pytest.mark.parametrize("kind", ["sequential", "layer", "block"])
def test_the_limit_decides(
    kind: str, limit: float, expected: int, fused: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "SMALL_LAYER", limit)
    plain = {"sequential": sequential, "layer": lambda: sequential()[0], "block": lambda: dgf.nn.GeneratorBlock(8, 8)}
    model = plain[kind]()
    reference = copy.deepcopy(model)
    if kind == "block":
        reference = nn.Sequential(*reference)
    else:
        dgf.accelerate(model)
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(model(x), reference(x), rtol=1e-4, atol=1e-5)
    assert len(fused) == expected
    text = str(dgf.explain(model, x))
    assert (selection.TOO_SMALL in text) == (expected == 0), text


def test_a_blocks_own_algorithm_is_not_overruled(fused: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "SMALL_LAYER", 1e9)
    dgf.nn.GeneratorBlock(8, 8, algorithm="direct")(torch.randn(2, 8, 6, 6))
    assert len(fused) == 1


def test_strides_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A convolution of stride 2 multiplies a quarter as often as its input has pixels."""
    layer, x = nn.Conv2d(64, 64, 4, 2, 1), torch.empty(16, 64, 32, 32)
    multiply_adds = 16 * 16 * 16 * 64 * 64 * 16
    monkeypatch.setattr(selection, "SMALL_LAYER", multiply_adds + 1.0)
    assert selection.too_small(layer, x.shape)
    monkeypatch.setattr(selection, "SMALL_LAYER", multiply_adds)
    assert not selection.too_small(layer, x.shape)
