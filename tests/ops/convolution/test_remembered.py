"""What an earlier call of the same shapes found is used again: errors, gradients and transforms stay what they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf

X, WEIGHT, BIAS = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 4, 4), torch.randn(5)


def _call(x: Any = X, weight: Any = WEIGHT, bias: Any = BIAS, **options: Any) -> Tensor:
    return dgf.conv2d(x, weight, bias, **options)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"weight": WEIGHT.double()}, TypeError, "weight must have the dtype of x"),
        ({"bias": BIAS.double()}, TypeError, "bias must have the dtype of x"),
        ({"bias": torch.randn(4)}, ValueError, r"bias must have shape \[out_channels\]"),
        ({"bias": 3.0}, TypeError, "bias must be a torch.Tensor"),
        ({"weight": WEIGHT.to("meta")}, ValueError, "weight must be on the device of x"),
        ({"bias": BIAS.to("meta")}, ValueError, "bias must be on the device of x"),
        ({"stride": True}, TypeError, "stride must be an int"),
        ({"stride": (True, 1), "padding": 1}, TypeError, "stride must be an int"),
        ({"stride": 1.0}, TypeError, "stride must be an int"),
        ({"stride": [2, 2.0]}, TypeError, "stride must be an int"),
        ({"x": X.numpy()}, TypeError, "x must be a torch.Tensor"),
        ({"algorithm": "fast"}, ValueError, "algorithm must be one of"),
    ],
)
@pytest.mark.parametrize("algorithm", ["auto", "winograd"])
def test_errors_after_calls_that_fit(
    change: dict[str, Any], error: type[Exception], message: str, algorithm: str
) -> None:
    for stride in (1, 2, (1, 1), (2, 2)):
        for leaf in (X, X.clone().requires_grad_()):
            kernel_algorithm = algorithm if stride in (2, (2, 2)) else "auto"
            _call(leaf, stride=stride, algorithm=kernel_algorithm)
    with pytest.raises(error, match=message):
        _call(**{"algorithm": algorithm, **change})


def test_gradients_after_calls_without() -> None:
    """Forward alone was found to be PyTorch's; gradients of the same shapes are recorded all the same."""
    for transposed in (False, True):
        run, torchs = (dgf.conv_transpose2d, F.conv_transpose2d) if transposed else (dgf.conv2d, F.conv2d)
        weight = WEIGHT.transpose(0, 1).contiguous() if transposed else WEIGHT
        with torch.no_grad():
            run(X, weight)
            run(X, weight)
        leaves = [t.clone().requires_grad_() for t in (X, weight)]
        found, expected = run(*leaves), torchs(*leaves, None, 2, 1)
        incoming = torch.randn_like(expected)
        for one, two in zip(
            torch.autograd.grad(found, leaves, incoming), torch.autograd.grad(expected, leaves, incoming), strict=True
        ):
            torch.testing.assert_close(one, two)


def test_autocast_and_transforms_after_calls_without() -> None:
    expected = _call()
    assert torch.equal(_call(), expected)
    for options in ({}, {"stride": 2, "algorithm": "winograd"}):  # PyTorch's operator casts by itself
        assert _call(**options).dtype == torch.float32
        with torch.autocast("cpu", torch.bfloat16):
            assert _call(**options).dtype == torch.bfloat16
    mapped = torch.func.vmap(lambda x: _call(x[None])[0])(X)
    torch.testing.assert_close(mapped, expected)
    _, tangent = torch.func.jvp(_call, (X,), (X,))
    torch.testing.assert_close(tangent, expected - BIAS.view(-1, 1, 1))
    assert _call(X[0]).shape == expected.shape[1:]
