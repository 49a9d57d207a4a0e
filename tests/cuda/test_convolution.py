"""The CUDA convolutions, by Winograd filtering and with few channels, against torch in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cuda.kernels import Kernels
from cuda.layer_cases import FEW_SIZES, GEOMETRIES, SIZES, few_channel_calls, layer_calls, winograd_calls

WINOGRAD = 3e-6  # the contract's bound of Winograd filtering, relative, in float32
DIRECT = {torch.float32: 3e-7, torch.float64: 1e-15, torch.bfloat16: 2**-8, torch.float16: 2**-11}


def _relative_error(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found.double() - truth).norm() / truth.norm())


def _check_statistics(statistics: torch.Tensor, output: torch.Tensor) -> None:
    """Mean and squared deviations of what was written, whatever its own error."""
    values = output.double().transpose(0, 1).flatten(1)
    mean, deviations = values.mean(1), values.var(1, correction=0) * values.shape[1]
    spread = values.square().mean(1).sqrt()
    assert ((statistics[0] - mean).abs() <= 1e-6 * spread).all()
    torch.testing.assert_close(statistics[1], deviations, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_winograd_filtering(
    kernels: Kernels, geometry: tuple[int, int, int], size: tuple[int, int, int, int, int]
) -> None:
    for call in winograd_calls(geometry, size):
        output, *statistics = call.run(kernels)
        truth = call.truth()
        assert output.shape == truth.shape
        assert _relative_error(output, truth) <= WINOGRAD, call.op
        if statistics and statistics[0].numel():
            assert output.is_contiguous(memory_format=torch.channels_last)
            _check_statistics(statistics[0], output)


@pytest.mark.parametrize("size", FEW_SIZES, ids=str)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_few_channels(kernels: Kernels, geometry: tuple[int, int, int], size: tuple[int, int, int, int, int]) -> None:
    for dtype in (torch.float32, torch.float64):
        for call in few_channel_calls(geometry, size, dtype):
            found, truth = call.run(kernels)[0], call.truth()
            assert found.shape == truth.shape
            assert found.dtype == dtype
            eager = _relative_error(call.eager(), truth)
            assert _relative_error(found, truth) <= eager + DIRECT[dtype], call.op


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_few_channels_to_many_in_half(kernels: Kernels, dtype: torch.dtype) -> None:
    image, weight = torch.randn(3, 3, 9, 8).to(dtype), torch.randn(40, 3, 4, 4).to(dtype)
    (found,) = kernels("few_channels_conv2d", image, weight, None, torch.ones(40), 2, 1, 2, 0.2)
    truth = F.leaky_relu(F.conv2d(image.double(), weight.double(), torch.ones(40).double(), 2, 1), 0.2)
    assert found.dtype == dtype
    assert _relative_error(found, truth) <= DIRECT[dtype]


def test_alignment(kernels: Kernels) -> None:
    for call in layer_calls():
        for found, expected in zip(call.run(kernels, misaligned=True), call.run(kernels), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


def test_no_bit_depends_on_the_order_of_threads(kernels: Kernels) -> None:
    if kernels.controls is None:
        pytest.skip("a GPU's order of threads cannot be chosen")
    for call in layer_calls():
        expected = call.run(kernels)
        for schedule in (1, 2):
            try:
                kernels.controls.simt_schedule(schedule)
                kernels.controls.simt_multiprocessors(1 + schedule)
                found = call.run(kernels)
            finally:
                kernels.controls.simt_schedule(0)
                kernels.controls.simt_multiprocessors(2)
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)), call.op


def test_no_images(kernels: Kernels) -> None:
    small, large, weight = torch.empty(0, 8, 3, 3), torch.empty(0, 4, 6, 6), torch.randn(8, 4, 4, 4)
    output, statistics = kernels("conv_transpose2d", small, weight, None, None, 2, 1, 0, 0, 0, 0.0, True)
    assert output.shape == large.shape
    assert statistics[0].isnan().all()
    assert (statistics[1] == 0).all()
    assert kernels("conv2d", large, weight, None, None, 2, 1, 0, 0.0, False)[0].shape == small.shape
    assert (kernels("conv2d_weight_gradient", small, large, 4, 2, 1)[0] == 0).all()
    few = kernels("few_channels_conv_transpose2d", small, weight, None, None, 2, 1, 0, 0, 3, 0.0)[0]
    assert few.shape == large.shape
    assert kernels("few_channels_conv2d", large, weight, None, None, 2, 1, 0, 0.0)[0].shape == small.shape
    assert (kernels("few_channels_weight_gradient", small, large, 4, 2, 1)[0] == 0).all()


def test_autocast_leaves_products_alone(kernels: Kernels) -> None:
    image, weight = torch.randn(2, 8, 4, 4), torch.randn(8, 4, 4, 4)
    args = (image, weight, None, None, 2, 1, 0, 0, 0, 0.0, False)
    expected = kernels("conv_transpose2d", *args)[0]
    with torch.autocast(kernels.device, dtype=torch.bfloat16):
        assert torch.equal(kernels("conv_transpose2d", *args)[0], expected)


@pytest.mark.parametrize(
    ("op", "args", "message"),
    [
        ("conv2d", (torch.ones(1, 4, 8, 8).double(), torch.ones(4, 4, 4, 4)), "input must be float32"),
        ("conv2d", (torch.ones(1, 4, 8, 8), torch.ones(4, 5, 4, 4)), "have 4 input channels in dimension 1"),
        ("conv2d", (torch.ones(1, 4, 8, 8), torch.ones(4, 4, 6, 6)), "kernel 6, stride 2, padding 1 has no Winograd"),
        ("conv2d", (torch.ones(1, 4, 1, 1), torch.ones(4, 4, 4, 4)), "input of size 1 is smaller than the kernel"),
        ("few_channels_conv2d", (torch.ones(4, 8, 8), torch.ones(4, 4, 4, 4)), "input must be .N, C, H, W., got 3"),
    ],
)
def test_errors_name_the_argument(kernels: Kernels, op: str, args: tuple[torch.Tensor, ...], message: str) -> None:
    tail = (None, None, 2, 1, 0, 0.0) + ((False,) if op == "conv2d" else ())
    with pytest.raises(RuntimeError, match=message):
        kernels(op, *args, *tail)


def test_statistics_are_of_an_output_without_activation(kernels: Kernels) -> None:
    with pytest.raises(RuntimeError, match="statistics are of an output without activation"):
        kernels("conv2d", torch.ones(1, 4, 8, 8), torch.ones(4, 4, 4, 4), None, None, 2, 1, 1, 0.0, True)
