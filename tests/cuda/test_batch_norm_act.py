"""CUDA batch norm with its activation, and channel statistics, against torch in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cuda.kernels import Kernels
from cuda.layer_cases import ACTIVATIONS, SLOPE
from cuda.test_accuracy import ulp

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# A matrix, a sequence; images: odd, over several lanes and blocks of channels, over several blocks of rows.
SHAPES = ((5, 3), (2, 5, 7), (3, 7, 5, 5), (2, 8, 4, 4), (4, 260, 3, 3), (33, 16, 12, 12))
EPS = 1e-5


def _inputs(shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Tensor]:
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    x = (torch.randn(shape) * 2 + 5).to(dtype)
    if len(shape) == 4 and shape[0] != 3:
        x = x.contiguous(memory_format=torch.channels_last)
    dims = [i for i in range(len(shape)) if i != 1]
    mean, var = x.double().mean(dims), x.double().var(dims, correction=0)
    return {
        "grad": torch.randn(shape).to(dtype), "input": x, "mean": mean.to(wide),
        "invstd": (var + EPS).rsqrt().to(wide), "weight": torch.randn(shape[1], dtype=wide),
        "bias": torch.randn(shape[1], dtype=wide),
    }  # fmt: skip


def _layer(inputs: dict[str, Tensor], activation: int, training: bool, wide: bool) -> list[Tensor]:
    """Output and gradients by torch: in float64 if ``wide``, else in the input's type."""
    leaves = {k: (v.double() if wide else v).detach().clone().requires_grad_() for k, v in inputs.items()}
    x, weight, bias = leaves["input"], leaves["weight"], leaves["bias"]
    # batch_norm has no invstd: the variance that gives it.
    running = () if training else (leaves["mean"].detach(), leaves["invstd"].detach().pow(-2) - EPS)
    mean, var = running or (None, None)
    y = ACTIVATIONS[activation](F.batch_norm(x, mean, var, weight, bias, training, 0.1, EPS))
    y.backward(leaves["grad"].detach())
    return [y.detach(), *(t.grad for t in (x, weight, bias) if t.grad is not None)]


def _check(found: Tensor, truth: Tensor, eager: Tensor, terms: int, place: str) -> None:
    """Eager's own largest error, and two units in the last place of a value of typical size.

    In float64, where eager is no truer than what is tested, 64; and a sum's terms have the size of their number.
    """
    assert found.shape == truth.shape, place
    own = (eager.double() - truth).abs().max()
    size = truth.abs().maximum(truth.square().mean().sqrt()).clamp(min=terms**0.5)
    units = 64 if found.dtype == torch.float64 else 2
    excess = (found.double() - truth).abs() - own - units * ulp(size, found.dtype)
    assert excess.max() <= 0, f"{place}: {excess.max():.2e} too far from the truth"


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients(kernels: Kernels, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    inputs = _inputs(shape, dtype)
    tensors = [inputs[name] for name in ("input", "mean", "invstd", "weight", "bias")]
    rows = inputs["input"].numel() // shape[1]
    for activation in range(5):
        training = activation != 3
        truths = _layer(inputs, activation, training, wide=True)
        eagers = _layer(inputs, activation, training, wide=False)
        (output,) = kernels("batch_norm_act", *tensors, activation, SLOPE)
        gradients = kernels(
            "batch_norm_act_backward", inputs["grad"], *tensors, activation, SLOPE, training, True, True
        )
        for index, found in enumerate([output, *gradients]):
            terms = 1 if index < 2 else rows
            _check(found, truths[index], eagers[index], terms, f"activation {activation}, result {index}")


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_statistics(kernels: Kernels, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    for offset in (0.0, 1000.0):
        x = (torch.randn(shape) + offset).to(dtype)
        (statistics,) = kernels("channel_statistics", x)
        values = x.double().transpose(0, 1).flatten(1)
        mean, deviations = values.mean(1), values.var(1, correction=0) * values.shape[1]
        exact = 1e-13 if dtype == torch.float64 else 1e-6
        assert ((statistics[0] - mean).abs() <= exact * (deviations / values.shape[1]).sqrt() + 1e-15 * offset).all()
        torch.testing.assert_close(statistics[1], deviations, rtol=max(exact, 1e-11), atol=0)


def test_what_is_not_needed_is_not_computed(kernels: Kernels) -> None:
    inputs = _inputs((2, 8, 4, 4), torch.float32)
    tensors = [inputs[name] for name in ("grad", "input", "mean", "invstd", "weight", "bias")]
    full = kernels("batch_norm_act_backward", *tensors, 1, SLOPE, True, True, True)
    for need_input, need_affine in ((True, False), (False, True), (False, False)):
        part = kernels("batch_norm_act_backward", *tensors, 1, SLOPE, True, need_input, need_affine)
        for found, expected, needed in zip(part, full, (need_input, need_affine, need_affine), strict=True):
            assert torch.equal(found, expected) if needed else found.numel() == 0


def test_without_affine_parameters(kernels: Kernels) -> None:
    inputs = _inputs((3, 7, 5, 5), torch.float32)
    bare = (inputs["input"], inputs["mean"], inputs["invstd"], None, None, 2, SLOPE)
    ones, zeros = torch.ones(7), torch.zeros(7)
    affine = (*bare[:3], ones, zeros, 2, SLOPE)
    assert torch.equal(kernels("batch_norm_act", *bare)[0], kernels("batch_norm_act", *affine)[0])
    for training in (True, False):
        flags = (training, True, True)
        results = (kernels("batch_norm_act_backward", inputs["grad"], *args, *flags) for args in (bare, affine))
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("shape", [(3, 7, 5, 5), (33, 16, 12, 12)], ids=str)
def test_no_bit_depends_on_order_of_threads_or_alignment(kernels: Kernels, shape: tuple[int, ...]) -> None:
    inputs = _inputs(shape, torch.float32)
    tensors = [inputs[name] for name in ("grad", "input", "mean", "invstd", "weight", "bias")]
    calls = (("batch_norm_act_backward", *tensors, 3, SLOPE, True, True, True), ("channel_statistics", tensors[1]))
    for op, *args in calls:
        expected = kernels(op, *args)
        runs = [kernels(op, *args, misaligned=True)]
        for schedule in (1, 2, 3) if kernels.controls else ():
            try:
                kernels.controls.simt_schedule(schedule)  # type: ignore[union-attr]
                kernels.controls.simt_multiprocessors(1 + schedule % 3)  # type: ignore[union-attr]
                runs.append(kernels(op, *args))
            finally:
                kernels.controls.simt_schedule(0)  # type: ignore[union-attr]
                kernels.controls.simt_multiprocessors(2)  # type: ignore[union-attr]
        for found in runs:
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)), op


def test_special_values(kernels: Kernels) -> None:
    x = torch.randn(4, 4, 3, 3)
    x[2, 0, 1, 1], x[3, 1, 0, 0], x[0, 2, 0, 0] = torch.nan, torch.inf, -torch.inf
    (statistics,) = kernels("channel_statistics", x)
    expected = torch.tensor([torch.nan, torch.inf, -torch.inf]).double()
    torch.testing.assert_close(statistics[0, :3], expected, equal_nan=True)
    assert statistics[1, :3].isnan().all()
    assert statistics[:, 3].isfinite().all()


def test_no_rows(kernels: Kernels) -> None:
    empty = torch.empty(0, 6, 3, 3)
    (statistics,) = kernels("channel_statistics", empty)
    assert statistics[0].isnan().all()
    assert (statistics[1] == 0).all()
    vectors = [torch.ones(6)] * 4
    assert kernels("batch_norm_act", empty, *vectors, 1, SLOPE)[0].shape == empty.shape
    gradients = kernels("batch_norm_act_backward", empty, empty, *vectors, 1, SLOPE, True, True, True)
    assert [g.shape for g in gradients] == [empty.shape, (6,), (6,)]
    assert all((g == 0).all() for g in gradients)


def test_errors_name_the_argument(kernels: Kernels) -> None:
    x, vector = torch.ones(2, 3, 4, 4), torch.ones(3)
    with pytest.raises(RuntimeError, match="activation must be 0"):
        kernels("batch_norm_act", x, vector, vector, None, None, 5, SLOPE)
    with pytest.raises(RuntimeError, match="mean has 4 elements, expected 3"):
        kernels("batch_norm_act", x, torch.ones(4), vector, None, None, 0, SLOPE)
    with pytest.raises(RuntimeError, match="grad_output must have the shape of input"):
        kernels("batch_norm_act_backward", x[:1], x, vector, vector, None, None, 0, SLOPE, True, True, True)
