"""How far a NaN, an infinity or one huge number of an image reaches in Winograd's Winograd filtering: its own tiles."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import deepgen_fast as dgf
from deepgen_fast.ops.convolution.algorithm import OUTPUTS
from ops.convolution.geometries import ENGINE, Layer

IMAGES, CHANNELS, SIZE = 3, 5, (11, 14)
# First, last and inner pixels, on both sides of a tile's edge.
PLACES = [(0, 0), (3, 4), (4, 8), (10, 13)]
LAYERS = [layer._replace(size=SIZE) for layer in ENGINE if layer.output_padding in (0, (0, 0))]
LAYERS = list({layer.kernel + (layer.stride,): layer for layer in LAYERS}.values())


def _reached(one: Tensor, two: Tensor) -> Tensor:
    """Pixels ``[images, height, width]`` of which any channel has other bits."""
    return (one.view(torch.int32) != two.view(torch.int32)).any(1)


def _blocks(pixels: Tensor, size: int) -> Tensor:
    """All pixels of the aligned squares that hold one of these."""
    height, width = pixels.shape[-2:]
    padded = torch.nn.functional.pad(pixels.float(), (0, -width % size, 0, -height % size))
    whole = torch.nn.functional.max_pool2d(padded, size).repeat_interleave(size, -1).repeat_interleave(size, -2)
    return whole[..., :height, :width] > 0


def _windows(pixels: Tensor, layer: Layer, transposed: bool) -> Tensor:
    """Outputs whose window holds one of these."""
    image, weight = pixels.float().unsqueeze(1), torch.ones(1, 1, *layer.kernel)
    options = layer.transposed if transposed else layer.forward
    operator = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv2d
    return operator(image, weight, **options).squeeze(1) > 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("transposed", [True, False], ids=["conv_transpose2d", "conv2d"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_other_images_and_tiles_are_untouched(layer: Layer, transposed: bool, value: float) -> None:
    """Bitwise. Where PyTorch's result is not finite, this is not either."""
    x, weight = torch.randn(IMAGES, CHANNELS, *SIZE), torch.randn(CHANNELS, CHANNELS, *layer.kernel)
    stride = layer.stride if isinstance(layer.stride, int) else layer.stride[0]
    options = layer.transposed if transposed else layer.forward
    operator = dgf.conv_transpose2d if transposed else dgf.conv2d
    clean = operator(x, weight, **options, algorithm="winograd")
    for y, column in PLACES:
        changed = x.clone()
        changed[1, 2, y, column] = value
        pixel = torch.zeros(IMAGES, *SIZE, dtype=torch.bool)
        pixel[1, y, column] = True
        found = operator(changed, weight, **options, algorithm="winograd")
        reached, windows = _reached(found, clean), _windows(pixel, layer, transposed)
        # A tile is OUTPUTS pixels of each phase of the large image, in which they take turns.
        tile = OUTPUTS * stride
        allowed = _blocks(windows, tile) if transposed else _windows(_blocks(pixel, tile), layer, False)
        assert reached[1].any() and not reached[[0, 2]].any()
        assert not (reached & ~allowed).any()
        expected = operator(changed, weight, **options, algorithm="direct")
        assert not found[~expected.isfinite()].isfinite().any()


def test_what_the_documentation_says_of_large_numbers() -> None:
    """Overflow where the direct sum is finite, and small numbers lost beside a large one of the same tile."""
    x, weight = torch.randn(1, 8, 8, 8) * 1e37, torch.randn(8, 8, 3, 3) * 1e-6
    options = {"stride": 1, "padding": 1}
    assert dgf.conv2d(x, weight, **options, algorithm="direct").isfinite().all()
    x = torch.randn(1, 8, 8, 8)
    x[0, 0, 0, 0] = 1e8
    weight = torch.randn(8, 8, 3, 3)
    exact = dgf.conv2d(x.double(), weight.double(), **options, algorithm="direct")
    small = (slice(None), slice(None), 2, 2)  # of the same tile, whose window does not hold the large number
    error = {
        algorithm: (dgf.conv2d(x, weight, **options, algorithm=algorithm)[small] - exact[small]).abs().max().item()
        for algorithm in ("direct", "winograd")
    }
    assert error["direct"] < 1e-4 < error["winograd"] < 3e-6 * exact.norm()
