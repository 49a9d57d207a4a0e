"""The implicit products on Triton, all three passes, against PyTorch's convolution in float64."""

from __future__ import annotations

import math

import pytest
import torch
from accuracy import assert_as_accurate_as_eager, assert_statistics

from deepgen_fast.ops.convolution import reference, triton_tiles
from deepgen_fast.ops.convolution import triton as kernels

# (kernel, stride, padding, output padding); the last three are not the engine's.
GEOMETRIES = [(4, 2, 1, 0), (3, 2, 1, 1), (5, 2, 2, 1), (3, 1, 1, 0), (3, 2, 1, 0), (4, 1, 0, 0), (1, 2, 0, 1)]
NONE, RELU, LEAKY_RELU, TANH, SIGMOID = range(5)
NO_EPILOGUE = (None, None, NONE, 0.0)


def draw(shape, seed, device, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(device)


def draw_integers(shape, seed, device):
    """Whole numbers from -4 to 4, whose products a matrix product sums exactly, in whatever order.

    The interpreter's products are NumPy's, whose order depends on the processor and on the number of rows.
    """
    return draw(shape, seed, device).mul(1.5).round().clamp(-4, 4)


def check_all_passes(geometry, batch, channels, size, device, dtype=torch.float32, epilogue=NO_EPILOGUE):
    """small -> large, large -> small, and the gradient of the weight between them."""
    kernel, stride, padding, output_padding = geometry
    scale, shift, *activation = epilogue
    small = draw((batch, channels[0], *size), 1, device, dtype)
    weight = draw((*channels, kernel, kernel), 2, device, dtype)
    where = (stride, padding)
    transposed = (small, weight, scale, shift, *where, output_padding, output_padding, *activation, False)
    assert_as_accurate_as_eager(kernels.conv_transpose2d, reference.conv_transpose2d, transposed)
    large = torch.randn_like(reference.conv_transpose2d(*transposed)[0])
    if scale is not None:
        scale, shift = (v.repeat(channels[0] // channels[1] + 1)[: channels[0]] for v in (scale, shift))
    strided = (large, weight, scale, shift, *where, *activation, False)
    assert_as_accurate_as_eager(kernels.conv2d, reference.conv2d, strided)
    assert_as_accurate_as_eager(
        kernels.conv2d_weight_gradient, reference.conv2d_weight_gradient, (small, large, kernel, *where)
    )


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles that make many programs of little images: groups, column tiles, and pixels split among programs."""
    tile = triton_tiles.ProductTile(rows=16, cols=16, depth=16, group=2, num_warps=4, num_stages=2)

    def splits(pixels, *rest):
        steps = -(-pixels // 16)
        return triton_tiles.SplitTile(tile, -(-steps // 2), 2)

    monkeypatch.setattr(kernels, "convolution_tile", lambda *shape: tile)
    monkeypatch.setattr(kernels, "weight_gradient_tile", splits)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_geometries(geometry, device):
    check_all_passes(geometry, 2, (5, 18), (3, 2), device)


@pytest.mark.parametrize("channels", [(1, 3), (20, 3), (33, 16)])
def test_channels_that_do_not_fill_a_block(channels, device):
    check_all_passes((4, 2, 1, 0), 2, channels, (1, 3), device)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtypes(dtype, device):
    check_all_passes((4, 2, 1, 0), 2, (32, 7), (2, 3), device, dtype)


def test_many_tiles(small_tiles, device):
    check_all_passes((3, 2, 1, 0), 3, (33, 20), (3, 4), device)
    check_all_passes((3, 2, 1, 1), 2, (3, 20), (3, 4), device)


def test_offsets_of_64_bits(small_tiles, monkeypatch, device):
    monkeypatch.setattr(kernels, "is_wide", lambda *elements: True)
    check_all_passes((4, 2, 1, 0), 2, (20, 3), (3, 2), device)
    check_all_passes((3, 1, 1, 0), 2, (3, 20), (3, 2), device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", [NONE, RELU, LEAKY_RELU, TANH, SIGMOID])
def test_epilogue(activation, dtype, device):
    scale, shift = draw((3,), 3, device), draw((3,), 4, device)
    check_all_passes((4, 2, 1, 0), 1, (2, 3), (2, 2), device, dtype, (scale, shift, activation, 0.2))


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_statistics_are_of_the_output_as_stored(offset, dtype, small_tiles, device):
    small, weight = draw((3, 5, 2, 5), 1, device, dtype), draw((5, 19, 3, 3), 2, device, dtype)
    shift = torch.full((19,), offset, device=device)
    for output, statistics in (
        kernels.conv_transpose2d(small, weight, None, shift, 2, 1, 0, 0, NONE, 0.0, True),
        kernels.conv2d(small, weight.transpose(0, 1), None, shift, 2, 1, NONE, 0.0, True),
    ):
        assert_statistics(statistics, output, 16)


def test_statistics_refuse_an_activation(device):
    small, weight = draw((1, 2, 2, 2), 1, device), draw((2, 3, 4, 4), 2, device)
    with pytest.raises(ValueError, match="activation must be 0"):
        kernels.conv_transpose2d(small, weight, None, None, 2, 1, 0, 0, RELU, 0.0, True)


def test_any_layout(device):
    small, weight = draw_integers((2, 5, 3, 2), 1, device), draw_integers((5, 4, 4, 4), 2, device)
    large = draw_integers((2, 4, 6, 4), 3, device)
    expected = (
        kernels.conv_transpose2d(small, weight, None, None, 2, 1, 0, 0, NONE, 0.0, False)[0],
        kernels.conv2d(large, weight, None, None, 2, 1, NONE, 0.0, False)[0],
        kernels.conv2d_weight_gradient(small, large, 4, 2, 1),
    )
    for output in expected:
        assert output.is_contiguous(memory_format=torch.channels_last)

    def other(tensor):
        return tensor.transpose(0, 3).contiguous().transpose(0, 3)

    for change in (other, lambda tensor: tensor.contiguous(memory_format=torch.channels_last)):
        found = (
            kernels.conv_transpose2d(change(small), change(weight), None, None, 2, 1, 0, 0, NONE, 0.0, False)[0],
            kernels.conv2d(change(large), change(weight), None, None, 2, 1, NONE, 0.0, False)[0],
            kernels.conv2d_weight_gradient(change(small), change(large), 4, 2, 1),
        )
        for ours, theirs in zip(found, expected, strict=True):
            assert torch.equal(ours, theirs)
    one = torch.ones((), device=device).expand(2, 5, 3, 2)
    assert torch.equal(
        kernels.conv2d_weight_gradient(one, large, 4, 2, 1),
        kernels.conv2d_weight_gradient(one.contiguous(), large, 4, 2, 1),
    )


def test_nothing_to_do(device):
    weight = draw((5, 4, 4, 4), 2, device)
    output, statistics = kernels.conv_transpose2d(
        draw((0, 5, 3, 2), 1, device), weight, None, None, 2, 1, 0, 0, NONE, 0.0, True
    )
    assert output.shape == (0, 4, 6, 4) and statistics.shape == (2, 4)
    gradient = kernels.conv2d_weight_gradient(draw((0, 5, 3, 2), 1, device), draw((0, 4, 6, 4), 1, device), 4, 2, 1)
    assert torch.equal(gradient, torch.zeros_like(weight))
    shift = draw((4,), 3, device)
    no_channels = kernels.conv_transpose2d(
        draw((1, 0, 2, 2), 1, device), weight[:0], None, shift, 2, 1, 0, 0, NONE, 0.0, False
    )[0]
    assert torch.equal(no_channels, shift.view(1, 4, 1, 1).expand(1, 4, 4, 4))


def test_a_pixel_does_not_depend_on_the_other_images(device):
    """Alone, among others, and among others that are not numbers, it has the same value."""
    small, weight = draw_integers((5, 20, 2, 3), 1, device), draw_integers((20, 4, 4, 4), 2, device)
    large = draw_integers((5, 4, 4, 6), 3, device)
    others = torch.tensor([0, 1, 2, 4], device=device)
    for run, image, rest in (
        (kernels.conv_transpose2d, small, (weight, None, None, 2, 1, 0, 0, NONE, 0.0, False)),
        (kernels.conv2d, large, (weight, None, None, 2, 1, NONE, 0.0, False)),
    ):
        together = run(image, *rest)[0]
        assert together[3].any()
        assert torch.equal(together, run(image, *rest)[0])
        assert torch.equal(together[3:4], run(image[3:4], *rest)[0])
        assert torch.equal(together[3], run(image.index_fill(0, others, math.nan), *rest)[0][3])


def test_what_is_not_finite_stays_in_its_window(device):
    small, weight = draw((1, 3, 5, 4), 1, device), draw((3, 2, 3, 3), 2, device)
    small[0, 1, 0, 0], small[0, 2, 4, 3] = math.nan, math.inf
    arguments = (small, weight, None, None, 2, 1, 1, 1, NONE, 0.0, False)
    assert_as_accurate_as_eager(kernels.conv_transpose2d, reference.conv_transpose2d, arguments)


@pytest.mark.parametrize("channels", [(100, 1024), (1024, 512), (64, 3), (3, 64), (4096, 4096)])
@pytest.mark.parametrize("pixels", [1, 64, 4096, 2**20])
def test_partial_weight_gradients_are_bounded(channels, pixels):
    for dtype, precision in ((torch.float32, "ieee"), (torch.float32, "tf32"), (torch.bfloat16, "ieee")):
        tile, splits, steps = triton_tiles.weight_gradient_tile(pixels, *channels, 16, dtype, precision)
        assert splits == 1 or splits * math.prod(channels) * 16 * 4 <= triton_tiles.WORKSPACE_BYTES
        assert (splits - 1) * steps * tile.depth < pixels <= splits * steps * tile.depth


def test_precision_is_what_pytorch_was_told():
    conv = torch.backends.cudnn.conv
    before = conv.fp32_precision
    try:
        for told, expected in (("tf32", "tf32"), ("ieee", "ieee")):
            conv.fp32_precision = told
            assert kernels.product_precision(torch.float32) == expected
            assert kernels.product_precision(torch.bfloat16) == "ieee"
    finally:
        conv.fp32_precision = before
