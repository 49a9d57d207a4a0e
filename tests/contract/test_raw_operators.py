"""Contract 8, below the public functions: a C++ operator called with what does not fit raises, and never crashes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from contract.raw import RAW_CALLS, RawCall
from deepgen_fast import backends

pytestmark = pytest.mark.skipif(bool(backends.unavailable("cpu")), reason=str(backends.unavailable("cpu")))

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def _tensor_positions(arguments: tuple[Any, ...]) -> list[int]:
    return [index for index, value in enumerate(arguments) if isinstance(value, Tensor)]


def _outputs(call: RawCall, arguments: tuple[Any, ...]) -> list[Tensor]:
    """What it returns; of an operator that works in place, its first argument."""
    found = call.operator(*arguments)
    if found is None:
        return [arguments[0]]
    return list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("call", RAW_CALLS, ids=str)
def test_writes_every_element(call: RawCall, dtype: torch.dtype) -> None:
    """Outputs live in memory that held NaN: none is left."""
    if dtype not in call.dtypes:
        pytest.skip("not built for this dtype")
    for output in _outputs(call, call.arguments(dtype)):
        assert not output.isnan().any()


@pytest.mark.parametrize("call", RAW_CALLS, ids=str)
@pytest.mark.parametrize("change", ["longer", "shorter", "empty"])
def test_wrong_sizes_raise(call: RawCall, change: str) -> None:
    """Each tensor in turn has a row's worth of elements too many, too few, or none."""
    if call.any_size:
        pytest.skip("every size is right")
    for index in _tensor_positions(call.arguments(torch.float32)):
        arguments = list(call.arguments(torch.float32))
        flat = arguments[index].flatten()
        # Seven more elements are no multiple of any row; the shape keeps its number of dimensions.
        wrong = {"longer": torch.cat([flat, flat.new_zeros(7)]), "shorter": flat[: max(flat.numel() - 1, 0)],
                 "empty": flat[:0]}[change]  # fmt: skip
        if wrong.numel() in (flat.numel(), 1):
            continue
        arguments[index] = wrong.reshape(*(1,) * (max(arguments[index].dim(), 1) - 1), -1)
        with pytest.raises(RuntimeError):
            call.operator(*arguments)


@pytest.mark.parametrize("call", RAW_CALLS, ids=str)
def test_wrong_dtypes_raise(call: RawCall) -> None:
    """Each tensor in turn has a dtype that does not fit."""
    for index in _tensor_positions(call.arguments(torch.float32)):
        arguments = list(call.arguments(torch.float32))
        arguments[index] = arguments[index].to(torch.int32)
        with pytest.raises(RuntimeError, match="deepgen_fast"):
            call.operator(*arguments)


def test_wrong_numbers_raise() -> None:
    """Options out of range."""
    mean = torch.rand(2, 3)
    seed = torch.tensor(1)
    operators = torch.ops.deepgen_fast
    with pytest.raises(RuntimeError, match="scale_kind"):
        operators.reparameterize_kl(mean, mean, None, None, None, seed, None, 7, False)
    with pytest.raises(RuntimeError, match="num_samples"):
        operators.reparameterize_kl(mean, mean, None, None, None, seed, -1, 0, False)
    with pytest.raises(RuntimeError, match="noise or seed"):
        operators.reparameterize_kl(mean, mean, None, None, None, None, None, 0, False)
    with pytest.raises(RuntimeError, match="likelihood"):
        operators.negative_elbo(mean, mean, None, None, mean, mean, None, None, 1.0, 0.0, 5, 0, True, True, None)
    with pytest.raises(RuntimeError, match="size"):
        operators.philox_normal(seed, [3], True)


def test_non_contiguous_inputs() -> None:
    """The operators themselves take any strides; those that change an operand refuse it."""
    for call in RAW_CALLS:
        if call.operator._schema.is_mutable:
            continue
        torch.manual_seed(0)
        arguments = call.arguments(torch.float32)
        spread = [
            torch.stack([a, a], -1).flatten(-2)[..., ::2] if isinstance(a, Tensor) and a.dim() else a for a in arguments
        ]
        for found, expected in zip(_outputs(call, tuple(spread)), _outputs(call, arguments), strict=True):
            assert torch.equal(found, expected), str(call)
