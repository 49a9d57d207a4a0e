"""The three few-channel operators against float64, in each memory format."""

from __future__ import annotations

import pytest
import torch
from contract.measure import assert_true, largest_error
from torch import Tensor

from ops.few_channels.cases import ACTIVATIONS, DTYPES, FORMATS, LAYERS, Given, Layer, make

RUNS = {"transposed": Given.transposed, "convolution": Given.convolution, "gradient": Given.gradient}
# Relative in norm, of a product: float32 as a direct convolution is allowed; the others round the output alone.
ALLOWED = {torch.float32: 3e-7, torch.float64: 3e-15, torch.bfloat16: 2**-8, torch.float16: 2**-11}


def relative(found: Tensor, truth: Tensor) -> float:
    return ((found.double() - truth).norm() / truth.norm()).item()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("name", RUNS)
def test_products(name: str, layer: Layer, format: str, dtype: torch.dtype) -> None:
    given = make(layer, dtype, format, format)
    found, truth = RUNS[name](given), given.expected(name, torch.float64)
    assert found.shape == truth.shape and found.dtype == dtype
    assert relative(found, truth) <= ALLOWED[dtype]


@pytest.mark.parametrize("layer", [LAYERS[0], LAYERS[2], LAYERS[4]], ids=str)
@pytest.mark.parametrize("large", FORMATS)
@pytest.mark.parametrize("small", FORMATS)
def test_gradient_of_images_that_lie_differently(layer: Layer, small: str, large: str) -> None:
    given = make(layer, torch.float32, small, large)
    assert relative(given.gradient(), given.expected("gradient", torch.float64)) <= 3e-7


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["transposed", "convolution"])
def test_epilogue(name: str, format: str, dtype: torch.dtype, activation: str) -> None:
    """Scale, shift and activation: error at most that of PyTorch's separate operators, plus a unit."""
    for layer in (LAYERS[0], LAYERS[2], LAYERS[5]):
        given = make(layer, dtype, format, format)
        found = RUNS[name](given, activation, True)
        truth = given.expected(name, torch.float64, activation, True)
        if dtype == torch.float64:
            torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-12)
        else:
            eager = given.expected(name, dtype, activation, True)
            assert_true(found, truth, largest_error(eager, truth), str(layer))


@pytest.mark.parametrize("name", ["transposed", "convolution"])
def test_scale_and_shift_are_optional(name: str) -> None:
    given = make(LAYERS[2], torch.float32)
    channels = given.layer.few if name == "transposed" else given.layer.many
    plain = RUNS[name](given)
    for scale, shift in ((torch.ones(channels), None), (None, torch.zeros(channels))):
        both = Given(given.layer, given.small, given.large, given.weight, (scale, shift), (scale, shift))
        assert torch.equal(RUNS[name](both, "none", True), plain)


@pytest.mark.parametrize("count", [3 * 10**3, 10**5])
def test_long_sums(count: int) -> None:
    """Over many channels and many pixels, errors do not pile up."""
    deep = make(Layer(1, count // 10, 3, 3, 3), torch.float32)
    assert relative(deep.transposed(), deep.expected("transposed", torch.float64)) <= 3e-7
    side = int(count**0.5)
    broad = make(Layer(1, 8, 3, side, side), torch.float32)
    assert relative(broad.gradient(), broad.expected("gradient", torch.float64)) <= 3e-7


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer.height > 2], ids=str)
def test_special_values_reach_what_they_touch(layer: Layer, format: str, value: float) -> None:
    """A NaN or an infinity in one pixel, and nothing beside the pixels that its kernel covers."""
    given = make(layer, torch.float32, format, format)
    given.small[0, 1 % layer.many, 1, 1] = value
    given.large[0, 0, 2, 1] = value
    given.weight[given.weight == 0] = 1.0
    for name in RUNS:
        found, expected = RUNS[name](given), given.expected(name, torch.float64)
        assert torch.equal(found.isfinite(), expected.isfinite()), name
        assert torch.equal(found.isnan(), expected.isnan()), name


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_special_values_pass_the_activation(activation: str) -> None:
    given = make(LAYERS[2], torch.float32)
    given.small[0, 0, 0, 0], given.small[1, 0, 2, 3] = float("nan"), float("inf")
    found, expected = given.transposed(activation, True), given.expected("transposed", torch.float32, activation, True)
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-4, atol=1e-5)
