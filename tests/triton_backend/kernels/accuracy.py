"""The rule of accuracy: truth is the float64 reference; a kernel errs at most as eager does, plus two ulp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Operation = Callable[..., Any]


def ulp(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Distance of neighboring numbers of ``dtype`` at each value of a float64 tensor."""
    info = torch.finfo(dtype)
    _, exponent = torch.frexp(value.abs().clamp(min=info.tiny))
    return torch.ldexp(torch.full_like(value, 0.5 * info.eps), exponent)


def _widened(argument: Any) -> Any:
    floating = isinstance(argument, Tensor) and argument.is_floating_point()
    return argument.double() if floating else argument


def _outputs(result: Any) -> Sequence[Tensor]:
    return (result,) if isinstance(result, Tensor) else result


def assert_as_accurate_as_eager(kernel: Operation, reference: Operation, arguments: Sequence[Any]) -> None:
    """Shapes and dtypes of the reference; each error at most eager's largest plus one unit in the last
    place."""
    found, eager = _outputs(kernel(*arguments)), _outputs(reference(*arguments))
    truth = _outputs(reference(*map(_widened, arguments)))
    assert len(found) == len(eager)
    for index, (ours, theirs, true) in enumerate(zip(found, eager, truth, strict=True)):
        assert ours.shape == theirs.shape, f"output {index}: {ours.shape}, expected {theirs.shape}"
        if theirs.numel() == 0:
            continue
        assert ours.dtype == theirs.dtype, f"output {index}: {ours.dtype}, expected {theirs.dtype}"
        assert torch.equal(ours.isnan(), theirs.isnan()), f"output {index}: NaN not as in eager"
        finite = true.isfinite() & theirs.isfinite()
        assert torch.equal(ours[~finite & ~theirs.isnan()], theirs[~finite & ~theirs.isnan()])
        true, ours, theirs = true[finite], ours[finite].double(), theirs[finite].double()
        if true.numel() == 0:
            continue
        # Cancellation leaves an element smaller than its terms, so errors compare with the largest of the
        # tensor.
        largest = true.abs().max()
        # Backends agree within two units; float64 has no wider truth than eager, so its own error counts too.
        units = 8.0 if found[index].dtype == torch.float64 else 2.0
        allowed = (theirs - true).abs().max() + units * ulp(largest, found[index].dtype)
        error = (ours - true).abs()
        worst = int((error - allowed).argmax())
        assert bool((error <= allowed).all()), (
            f"output {index}: {float(ours[worst])} where the truth is {float(true[worst])}; "
            f"allowed error {float(allowed):.3g}"
        )


def assert_statistics(found: Tensor, value: Tensor, tile_rows: int) -> None:
    """Statistics [2, channels] of ``value``: what a float32 (float64) sum over a tile's rows may miss, in any order."""
    assert found.shape == (2, value.shape[1]) and found.dtype == torch.float64
    wide = value.double().transpose(0, 1).flatten(1)
    mean = wide.mean(1)
    deviation = wide - mean[:, None]
    dtype = value.dtype if value.dtype == torch.float64 else torch.float32
    lost = tile_rows * torch.finfo(dtype).eps / 2
    allowed = lost * deviation.abs().mean(1) + 2 * ulp(mean, dtype)
    assert bool(((found[0] - mean).abs() <= allowed).all()), (found[0] - mean).abs() / allowed
    squares = deviation.square().sum(1)
    allowed = 2 * lost * squares + wide.shape[1] * ulp(mean, dtype) ** 2
    assert bool(((found[1] - squares).abs() <= allowed).all()), (found[1] - squares).abs() / allowed
