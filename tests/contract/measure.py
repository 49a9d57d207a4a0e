"""How far two tensors are apart: in units in the last place, and against the error that eager makes itself."""

from __future__ import annotations

import torch
from torch import Tensor


def ulp(value: Tensor, dtype: torch.dtype) -> Tensor:
    """The spacing of ``dtype`` at each of ``value``'s numbers, as float64; the smallest normal's spacing below it."""
    info = torch.finfo(dtype)
    _, exponent = torch.frexp(value.double().abs().clamp(min=info.tiny))
    return torch.ldexp(torch.ones_like(value, dtype=torch.float64), exponent - 1) * info.eps


def _place(error: Tensor, bound: Tensor, found: Tensor, expected: Tensor) -> str:
    index = int((error - bound).argmax())
    return (
        f"at {index} of {error.numel()}: {found.flatten()[index].item()!r}, expected "
        f"{expected.flatten()[index].item()!r}, error {error.flatten()[index].item():.3e}, "
        f"allowed {bound.expand_as(error).flatten()[index].item():.3e}"
    )


def _same_kind(found: Tensor, expected: Tensor, name: str) -> Tensor:
    """Checks shape, NaN and infinities; gives the places where both are finite."""
    assert found.shape == expected.shape, f"{name}: shape {list(found.shape)}, expected {list(expected.shape)}"
    assert torch.equal(found.isnan(), expected.isnan()), f"{name}: NaN in other places"
    rounded = expected.to(found.dtype)  # a number past the dtype's range is an infinity
    infinite = found.isinf() | rounded.isinf()
    assert torch.equal(found[infinite], rounded[infinite]), f"{name}: other infinities"
    return found.isfinite() & expected.isfinite()


def assert_within_ulps(found: Tensor, expected: Tensor, ulps: float, name: str = "") -> None:
    """Every element within ``ulps`` units in the last place, of found's dtype, at ``expected``."""
    finite = _same_kind(found, expected, name)
    error = torch.where(finite, found.double() - expected.double(), 0.0).abs()
    bound = ulps * ulp(torch.where(finite, expected.double(), 1.0), found.dtype)
    assert (error <= bound).all(), f"{name} {_place(error, bound, found, expected)}"


def largest_error(found: Tensor, truth: Tensor) -> float:
    """The largest absolute error where both are finite."""
    finite = found.isfinite() & truth.isfinite()
    return torch.where(finite, found.double() - truth, 0.0).abs().max().item() if found.numel() else 0.0


def assert_true(found: Tensor, truth: Tensor, eager_error: float, name: str = "") -> None:
    """The error is at most eager's own largest, plus one unit in the last place of the output."""
    finite = _same_kind(found, truth, name)
    error = torch.where(finite, found.double() - truth, 0.0).abs()
    bound = eager_error + ulp(torch.where(finite, truth, 1.0), found.dtype)
    assert (error <= bound).all(), f"{name} {_place(error, bound, found, truth)}; eager's own {eager_error:.3e}"


def assert_relative(
    found: Tensor, truth: Tensor, eager: Tensor, bound: float, dtype: torch.dtype, name: str = "", largest: float = 0.0
) -> None:
    """The error's norm is at most ``bound`` of the truth's, or eager's own plus a rounding to ``dtype``.

    ``dtype`` is that of the inputs: what they lose by it shows in results of more bits too. ``largest`` is eager's
    largest error in an element over several draws: in one draw of few elements its own may be next to nothing.
    """
    finite = _same_kind(found, truth, name)
    error, own = ((value.double() - truth)[finite].norm().item() for value in (found, eager))
    size = truth[finite].norm().item()
    own = max(own, largest * truth.numel() ** 0.5)
    allowed = max(bound * size, own + torch.finfo(dtype).eps * size)
    assert error <= allowed, (
        f"{name}: error {error:.3e} of norm {size:.3e}, allowed {allowed:.3e}; eager's own {own:.3e}"
    )


def assert_bitwise(found: Tensor, expected: Tensor, name: str = "") -> None:
    """The same bits, NaN and signed zeros included."""
    assert found.shape == expected.shape and found.dtype == expected.dtype, name
    as_integers = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.uint8}[found.element_size()]
    same = found.contiguous().view(as_integers) == expected.contiguous().view(as_integers)
    assert same.all(), f"{name}: {int((~same).sum())} of {same.numel()} elements differ"
