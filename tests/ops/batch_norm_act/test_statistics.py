"""channel_statistics: mean and sum of squared deviations, in float64, however large the mean."""

from __future__ import annotations

import pytest
import torch
from contract.measure import assert_bitwise
from torch import Tensor

from ops.batch_norm_act.cases import DTYPES, OPERATORS, SHAPES


def truth(image: Tensor) -> Tensor:
    """Two passes in float64."""
    by_channel = image.double().transpose(0, 1).flatten(1)
    mean = by_channel.mean(1, keepdim=True)
    offset = (by_channel - mean).mean(1, keepdim=True)  # what the rounded mean lacks
    deviations = (by_channel - mean - offset).square().sum(1)
    return torch.stack([(mean + offset).squeeze(1), deviations])


@pytest.mark.parametrize("ratio", [0, 3, 1e4, 1e6], ids="mean {} deviations".format)
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_cancellation(shape: tuple[int, ...], dtype: torch.dtype, last: bool, ratio: float) -> None:
    if last and len(shape) != 4:
        pytest.skip("no such memory format")
    if dtype == torch.float16 and ratio > 1e4:
        pytest.skip("past the largest number of float16")
    image = (torch.randn(shape, dtype=torch.float64) + ratio).to(dtype)
    image = image.to(memory_format=torch.channels_last) if last else image
    found, expected = OPERATORS.channel_statistics(image), truth(image)
    deviation = (expected[1] / (image.numel() / image.shape[1])).sqrt()
    assert ((found[0] - expected[0]).abs() <= 1e-13 * (expected[0].abs() + deviation)).all()
    assert ((found[1] - expected[1]).abs() <= 1e-10 * expected[1]).all()


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
def test_an_outlier_comes_first(last: bool) -> None:
    """The number that all others are measured from may lie anywhere."""
    image = torch.randn(32, 24, 16, 16)
    image[0, :, 0, 0] = 1e8
    image = image.to(memory_format=torch.channels_last) if last else image
    torch.testing.assert_close(OPERATORS.channel_statistics(image), truth(image), rtol=1e-10, atol=0)


def test_as_accurate_as_eager() -> None:
    """Mean and inverse deviation, rounded to float, err at most as PyTorch's own do."""
    for offset in (0.0, 100.0):
        contiguous = offset + torch.randn(64, 32, 16, 16)
        for image in (contiguous, contiguous.to(memory_format=torch.channels_last)):
            expected = truth(image)
            count = image.numel() / image.shape[1]
            _, mean, invstd = torch.native_batch_norm(image, None, None, None, None, True, 0.1, 1e-5)
            found = OPERATORS.channel_statistics(image)
            for ours, theirs, true in (
                (found[0].float(), mean, expected[0]),
                ((found[1] / count + 1e-5).rsqrt().float(), invstd, (expected[1] / count + 1e-5).rsqrt()),
            ):
                assert (ours.double() - true).abs().max() <= (theirs.double() - true).abs().max()


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [(0, 0, 0), (1, 4, 2)], ids=["first", "later"])
def test_special_values_stay_in_their_channel(value: float, place: tuple[int, int, int], last: bool) -> None:
    image = torch.randn(2, 19, 5, 5)
    clean = OPERATORS.channel_statistics(image)
    n, y, x = place
    image[n, 3, y, x] = value
    image = image.to(memory_format=torch.channels_last) if last else image
    found, plain = OPERATORS.channel_statistics(image), image.double().mean((0, 2, 3))
    torch.testing.assert_close(found[0], plain, equal_nan=True)
    assert found[1, 3].isnan()
    others = torch.arange(19) != 3
    torch.testing.assert_close(found[:, others], clean[:, others], rtol=1e-12, atol=1e-12)


def test_nothing_to_count() -> None:
    found = OPERATORS.channel_statistics(torch.empty(0, 3, 4, 4))
    assert found[0].isnan().all() and (found[1] == 0).all()
    assert OPERATORS.channel_statistics(torch.empty(2, 0, 4, 4)).shape == (2, 0)


def test_strides() -> None:
    """Slices, transposed and expanded tensors: as their contiguous copies."""
    base = torch.randn(6, 20, 9, 8)
    for image in (
        base[::2],
        base[:, 3:14],
        base.transpose(2, 3),
        base[:, :, 1:, ::3],
        base.to(memory_format=torch.channels_last)[:, 2:17],
        base[:1].expand(4, -1, -1, -1),
    ):
        torch.testing.assert_close(OPERATORS.channel_statistics(image), truth(image), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
def test_threads(last: bool, threads: None) -> None:
    image = torch.randn(33, 48, 24, 24)
    image = image.to(memory_format=torch.channels_last) if last else image
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(OPERATORS.channel_statistics(image))
    assert_bitwise(found[0], found[1])
    assert_bitwise(found[0], found[2])


def test_errors() -> None:
    with pytest.raises(RuntimeError, match="input must have a batch and a channel dimension"):
        OPERATORS.channel_statistics(torch.randn(3))
    with pytest.raises(RuntimeError, match="input must be float16"):
        OPERATORS.channel_statistics(torch.ones(2, 3, dtype=torch.int64))
