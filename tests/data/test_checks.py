from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.data import DataError
from deepgen_fast.data.checks import check_binary_range, to_images


def gray(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("shape", "image_shape", "expected"),
    [
        ((5, 12), None, (5, 12)),
        ((5, 12), (1, 3, 4), (5, 1, 3, 4)),
        ((5, 3, 4), None, (5, 1, 3, 4)),
        ((5, 3, 8, 9), None, (5, 3, 8, 9)),
        ((5, 8, 9, 3), None, (5, 3, 8, 9)),
        ((5, 8, 9, 1), None, (5, 1, 8, 9)),
        ((5, 4, 9, 3), None, (5, 3, 4, 9)),
        ((5, 4, 8, 9), None, (5, 4, 8, 9)),
        ((5, 8, 9, 4), None, (5, 4, 8, 9)),
    ],
)
def test_shapes(shape, image_shape, expected):
    array = gray(*shape)
    images = to_images(array, name="x", image_shape=image_shape)
    assert images.shape == expected
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    if len(shape) == 4 and shape[1] != expected[1]:
        assert torch.equal(images, array.permute(0, 3, 1, 2))


def test_integers_are_bytes_unless_binary():
    assert to_images(torch.tensor([[0, 51, 255]]), name="x").tolist() == [[0.0, pytest.approx(0.2), 1.0]]
    assert to_images(torch.tensor([[0, 1, 1]], dtype=torch.uint8), name="x").tolist() == [[0.0, 1.0, 1.0]]
    nearly_black = torch.tensor([[0, 1, 1]], dtype=torch.uint8)
    assert to_images(nearly_black, name="x", values="byte").tolist() == [
        [0.0, pytest.approx(1 / 255), pytest.approx(1 / 255)]
    ]
    assert to_images(torch.tensor([[True, False]]), name="x").tolist() == [[1.0, 0.0]]
    assert to_images(torch.tensor([[-7, 1000]]), name="x", values="any").tolist() == [[-7.0, 1000.0]]


def test_byte_floats_are_divided():
    assert to_images(torch.tensor([[0.0, 255.0]]), name="x", values="byte").tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (torch.zeros(7), {}, r"x: expected shape \[N, D\].*got \[7\]"),
        (torch.zeros(0, 7), {}, r"x: no examples, shape \[0, 7\]"),
        (torch.zeros(2, 5, 6, 7), {}, r"neither dimension 1 nor dimension 3 of \[2, 5, 6, 7\]"),
        (torch.zeros(2, 12), {"image_shape": (1, 3, 5)}, r"shape \[12\] do not fit image_shape \[1, 3, 5\]"),
        (torch.tensor([[0.5], [math.nan]]), {}, "1 values are NaN or infinite, the first in example 1"),
        (torch.tensor([[0.5], [math.inf]]), {"values": "any"}, "1 values are NaN or infinite"),
        (torch.tensor([[1e300]], dtype=torch.float64), {"values": "any"}, "1 values are NaN or infinite"),
        (torch.tensor([[0.0, 200.0]]), {}, "got 0 to 200; divide by 255 or pass values='byte'"),
        (torch.tensor([[-0.5, 1.0]]), {}, "pixels out of range.*got -0.5 to 1"),
        (torch.tensor([[0, 256]]), {}, "pixels out of range.*got 0 to 256"),
        (torch.tensor([[0.0, 300.0]]), {"values": "byte"}, "these are not bytes"),
        (torch.zeros(2, 2, dtype=torch.complex64), {}, "expected real numbers"),
    ],
)
def test_wrong_data_is_refused(array, options, message):
    with pytest.raises(DataError, match=message):
        to_images(array, name="x", **options)


def test_unknown_values_option_is_named():
    with pytest.raises(ValueError, match="values: expected one of unit, byte, any, got 'bits'"):
        to_images(torch.zeros(1, 1), name="x", values="bits")


def test_bernoulli_needs_unit_values():
    check_binary_range(torch.tensor([[0.0, 1.0]]), name="x")
    with pytest.raises(DataError, match=r"x: a Bernoulli likelihood needs values in \[0, 1\], got -1 to 2"):
        check_binary_range(torch.tensor([[-1.0, 2.0]]), name="x")
