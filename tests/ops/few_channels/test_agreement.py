"""The three few-channel operators: memory formats of results, neighbors, threads, instruction sets, bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from contract.measure import assert_bitwise
from torch import Tensor

from ops.few_channels.cases import ACTIVATIONS, DTYPES, FORMATS, LAYERS, OPERATORS, Layer, make
from ops.instruction_sets import assert_agree

IMAGE = Layer(6, 40, 3, 20, 20)


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer.few > 1], ids=str)
@pytest.mark.parametrize("format", FORMATS)
def test_results_lie_as_the_image_that_came_in(layer: Layer, format: str) -> None:
    if layer.height == layer.width == 1:
        pytest.skip("an image of one pixel lies both ways")
    given = make(layer, torch.float32, format, format)
    for found in (given.transposed(), given.convolution()):
        assert found.is_contiguous(memory_format=FORMATS[format])
    assert given.gradient().is_contiguous()


def test_any_strides() -> None:
    given = make(LAYERS[2], torch.float32)
    wide = torch.randn(3, 70, 5, 9)
    wide[..., 1:8] = given.small
    arguments = (given.weight, None, None, 2, 1, 0, 0, 0, 0.0)
    assert_bitwise(OPERATORS.few_channels_conv_transpose2d(wide[..., 1:8], *arguments), given.transposed())
    weight = given.weight.to(memory_format=torch.channels_last)
    found = OPERATORS.few_channels_conv2d(given.large.mT.contiguous().mT, weight, None, None, 2, 1, 0, 0.0)
    torch.testing.assert_close(found, given.convolution())


@pytest.mark.parametrize("format", FORMATS)
def test_neighbors_in_the_batch(format: str) -> None:
    """An image's result has the same bits alone: the split of work changes nothing."""
    given = make(IMAGE, torch.float32, format, format)
    for run, image in (
        (
            lambda x: OPERATORS.few_channels_conv_transpose2d(x, given.weight, None, None, 2, 1, 0, 0, 3, 0.0),
            given.small,
        ),
        (lambda x: OPERATORS.few_channels_conv2d(x, given.weight, None, None, 2, 1, 2, 0.2), given.large),
    ):
        every = run(image)
        for rows in (slice(2, 3), slice(1, 5)):
            assert_bitwise(run(image[rows]), every[rows])


@pytest.mark.parametrize("format", FORMATS)
def test_threads(format: str, threads: None) -> None:
    given = make(IMAGE, torch.float32, format, format)
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append((given.transposed(), given.convolution(), given.gradient()))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert_bitwise(one, two)


def test_nothing_in_the_batch() -> None:
    given = make(LAYERS[0], torch.float32)
    small, large = given.small[:0], given.large[:0]
    found = OPERATORS.few_channels_conv_transpose2d(small, given.weight, None, None, 2, 1, 0, 0, 0, 0.0)
    assert found.shape == large.shape
    assert OPERATORS.few_channels_conv2d(large, given.weight, None, None, 2, 1, 0, 0.0).shape == small.shape
    gradient = OPERATORS.few_channels_weight_gradient(small, large, 4, 2, 1)
    assert gradient.shape == given.weight.shape and (gradient == 0).all()


def instruction_set_outputs() -> dict[str, Tensor]:
    found = {}
    for layer in LAYERS:
        for dtype in DTYPES:
            for format in FORMATS:
                torch.manual_seed(5)
                given = make(layer, dtype, format, format)
                key = f"{layer} {dtype} {format}"
                for activation in ACTIVATIONS:
                    found[f"{key} transposed {activation}"] = given.transposed(activation, True)
                    found[f"{key} convolution {activation}"] = given.convolution(activation, True)
                found[f"{key} gradient"] = given.gradient()
    return found


def test_instruction_sets_agree(tmp_path: Path) -> None:
    assert_agree("ops.few_channels.test_agreement:instruction_set_outputs", tmp_path)


def test_errors() -> None:
    small, large, weight = torch.randn(2, 8, 5, 5), torch.randn(2, 3, 10, 10), torch.randn(8, 3, 4, 4)

    def transposed(x: Tensor = small, w: Tensor = weight, scale: Tensor | None = None, shift: Tensor | None = None,
                   stride: int = 2, padding: int = 1, extra: int = 0, activation: int = 0) -> Tensor:  # fmt: skip
        return OPERATORS.few_channels_conv_transpose2d(
            x, w, scale, shift, stride, padding, extra, extra, activation, 0.0
        )

    for arguments, message in (
        ({"x": small[0]}, "input must have 4 dimensions"),
        ({"x": small.int()}, "weight must have the input's dtype"),
        ({"x": small.int(), "w": weight.int()}, "input must be float16"),
        ({"x": small[:, :7]}, "input must have 8 channels"),
        ({"w": weight[..., :3]}, "weight must have shape"),
        ({"w": torch.randn(8, 17, 4, 4)}, "weight must have 1 to 16 channels"),
        ({"w": torch.randn(8, 3, 17, 17)}, "kernel must be 1 to 16"),
        ({"stride": 0}, "stride must be 1 to 16"),
        ({"padding": -1}, "padding must be 0 to 15"),
        ({"extra": 2}, "output_padding must be less than the stride"),
        ({"activation": 7}, "activation must be 0"),
        ({"scale": torch.ones(8)}, r"scale must have shape \[3\]"),
        ({"shift": torch.ones(3).double()}, "shift must be float32"),
        ({"x": small[:, :, :1, :1], "padding": 3}, "gives no output"),
    ):
        with pytest.raises(RuntimeError, match=message):
            transposed(**arguments)
    for image, message in ((small, "input must have 3 channels"), (large[:, :, :1, :1], "smaller than the kernel")):
        with pytest.raises(RuntimeError, match=message):
            OPERATORS.few_channels_conv2d(image, weight, None, None, 2, 1, 0, 0.0)
    for one, other, message in (
        (small, large.double(), "large must have small's dtype"),
        (small[:1], large, "large must have small's batch size 1"),
        (small[:, :, 1:], large, "small has 4 pixels along dimension 2, expected 5"),
        (small, small, "pixels along dimension 2"),
        (large, torch.randn(2, 17, 20, 20), "large must have 1 to 16 channels"),
    ):
        with pytest.raises(RuntimeError, match=message):
            OPERATORS.few_channels_weight_gradient(one, other, 4, 2, 1)
