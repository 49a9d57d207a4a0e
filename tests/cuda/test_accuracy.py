"""The CUDA kernels against the reference in float64: values, gradients, sums, over shapes, types and options."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from cuda.cases import (
    DTYPES,
    EMPTY_SHAPES,
    MINIBATCH_SHAPES,
    SHAPES,
    Call,
    likelihood_calls,
    loss_calls,
    minibatch_calls,
    noise_calls,
    posterior_calls,
)
from cuda.kernels import Kernels

TERM = 0.25  # the size of the terms that values and gradients are made of, for these inputs, at the least
GROUPS = {"likelihood": likelihood_calls, "posterior": posterior_calls, "loss": loss_calls}


def ulp(value: Tensor, dtype: torch.dtype) -> Tensor:
    """The spacing of ``dtype`` at each of the values, which are float64."""
    info = torch.finfo(dtype)
    exponent = torch.frexp(value.abs().clamp(min=info.tiny))[1]
    return torch.ldexp(torch.full_like(value, info.eps), exponent - 1)


def _tolerance(call: Call, truth: Tensor, eager: Tensor) -> Tensor:
    """Eager's own largest error, and two units in the last place of a value of typical size.

    Of typical size, not of the value itself: where terms cancel, the result is as exact as they are; and the terms
    of a row's sum together have the size of their number. In float64 eager is the truth itself, so
    its share is missing; and noise generated in registers is float32 in any type.
    """
    own = (eager.double() - truth).abs().nan_to_num(0.0).max()
    terms = max(arg.numel() for arg in call.args if isinstance(arg, Tensor)) / truth.numel()
    typical = truth.square().nanmean().sqrt().nan_to_num(0.0).clamp(min=terms if terms > 1.0 else TERM)
    size = truth.abs().maximum(typical)
    generated = any(isinstance(arg, Tensor) and arg.dtype == torch.int64 for arg in call.args)
    if eager.dtype != torch.float64:
        return own + (6 if generated else 2) * ulp(size, eager.dtype)  # a draw is off by 3 by itself
    return own + 16 * ulp(size, torch.float32 if generated else torch.float64)


def check(call: Call, found: list[Tensor]) -> None:
    """Compare with the truth, output by output."""
    truths, eagers = call.reference(wide=True), call.reference(wide=False)
    assert len(found) == len(truths)
    for index, (value, truth, eager) in enumerate(zip(found, truths, eagers, strict=True)):
        place = f"{call.op}, output {index}"
        assert value.shape == truth.shape, place
        if truth.numel() == 0:
            continue
        assert value.dtype == eager.dtype, place
        assert torch.equal(value.isnan(), truth.isnan()), place
        truth = truth.double()
        excess = ((value.double() - truth).abs() - _tolerance(call, truth, eager)).nan_to_num(0.0).max()
        assert excess <= 0, f"{place}: {excess:.2e} too far from the truth"


def _calls(group: str, shape: tuple[int | None, int, int], dtype: torch.dtype) -> Iterator[Call]:
    yield from GROUPS[group](*shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("group", GROUPS)
def test_values_and_gradients(
    kernels: Kernels, group: str, shape: tuple[int | None, int, int], dtype: torch.dtype
) -> None:
    for call in _calls(group, shape, dtype):
        check(call, call.run(kernels))


@pytest.mark.parametrize("group", GROUPS)
def test_rows_of_many_segments(kernels: Kernels, group: str) -> None:
    for call in _calls(group, (None, 1, 5 * 4096 + 7), torch.float32):
        check(call, call.run(kernels))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("shape", (*MINIBATCH_SHAPES, (0, 3, 2), (3, 0, 2)), ids=str)
def test_minibatch_discrimination(kernels: Kernels, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    for call in minibatch_calls(*shape, dtype):
        check(call, call.run(kernels))


def test_an_infinite_feature_is_far_from_all_others(kernels: Kernels) -> None:
    features = torch.randn(5, 2, 3)
    features[1, 0, 2] = torch.inf
    (found,) = kernels("minibatch_discrimination", features, False)
    assert found.isfinite().all() and found[1, 0] == 0
    (grad,) = kernels("minibatch_discrimination_backward", torch.ones(5, 2), features, False)
    assert grad.isfinite().all() and (grad[1, 0] == 0).all()


@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
@pytest.mark.parametrize("group", ["likelihood", "posterior"])
def test_empty(kernels: Kernels, group: str, shape: tuple[int | None, int, int]) -> None:
    for call in _calls(group, shape, torch.float32):
        check(call, call.run(kernels))


@pytest.mark.parametrize("mean_reduction", [True, False])
def test_loss_of_no_examples(kernels: Kernels, mean_reduction: bool) -> None:
    pixels, latents = torch.empty(0, 9), torch.empty(0, 4)
    args = (pixels, pixels, None, None, latents, latents, None, None, 1.0, 0.0, 0, 0, mean_reduction, True, None)
    loss = kernels("negative_elbo", *args)[0]
    assert torch.equal(loss.isnan(), torch.tensor(mean_reduction))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_noise(kernels: Kernels, shape: tuple[int | None, int, int]) -> None:
    # A single different bit in a Philox word would change a draw by far more than rounding does.
    for call in noise_calls(*shape):
        found, truth = call.run(kernels)[0], call.reference(wide=True)[0].double()
        # Rounded in log, sqrt, angle, cosine and product: 3 units in the last place at most, 1 nearly always.
        error = (found.double() - truth).abs() / ulp(truth, torch.float32)
        assert error.max() <= 3


def test_noise_of_an_example_does_not_depend_on_the_call(kernels: Kernels) -> None:
    seed = torch.tensor(987654321)
    (full,) = kernels("philox_normal", seed, (3, 5, 101), True)
    (fewer_columns,) = kernels("philox_normal", seed, (3, 5, 64), True)
    (fewer_examples,) = kernels("philox_normal", seed, (2, 3, 101), True)
    (one_sample,) = kernels("philox_normal", seed, (5, 101), False)
    assert torch.equal(full[..., :64], fewer_columns)
    assert torch.equal(full[:2, :3], fewer_examples)
    assert torch.equal(full[0], one_sample)


def test_many_samples_of_few_examples(kernels: Kernels) -> None:
    """The grid splits the samples; each is the same as when there are fewer of them."""
    mean, scale, seed = torch.randn(2, 6), torch.randn(2, 6), torch.tensor(5)
    z, kl = kernels("reparameterize_kl", mean, scale, None, None, None, seed, 700, 0, False)
    few, few_kl = kernels("reparameterize_kl", mean, scale, None, None, None, seed, 3, 0, False)
    assert torch.equal(z[:3], few)
    assert torch.equal(kl, few_kl)
    call = Call("reparameterize_kl", (mean, scale, None, None, None, seed, 700, 0, False))
    check(call, [z, kl])


def test_masked_pixels_count_nothing_even_if_nan(kernels: Kernels) -> None:
    output, target, logvar = torch.randn(2, 37), torch.rand(2, 37), torch.randn(2, 37)
    mask = torch.rand(2, 37) > 0.5
    clean = (torch.where(mask, output, 0.0), torch.where(mask, target, 0.0), torch.where(mask, logvar, 0.0), mask)
    hole = torch.full_like(output, torch.nan)
    dirty = (*(torch.where(mask, t, hole) for t in (output, target, logvar)), mask)
    assert torch.equal(
        kernels("gaussian_log_likelihood", *clean, False)[0], kernels("gaussian_log_likelihood", *dirty, False)[0]
    )
    grad = torch.ones(2)
    for found in kernels("gaussian_log_likelihood_backward", grad, *dirty, False, True, True, True):
        assert not found.isnan().any()
        assert (found[~mask] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_finite_inputs_give_no_nan(kernels: Kernels, dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    values = torch.tensor([0.0, 1.0, -200.0, 200.0, -1e5, 1e5, -largest, largest], dtype=dtype)
    output, logvar = (grid.reshape(1, -1) for grid in torch.meshgrid(values, values, indexing="ij"))
    target = torch.zeros_like(output)
    grad = torch.ones_like(output)
    seed = torch.tensor(3)
    results = [
        *kernels("bernoulli_log_likelihood", output, target, None, True),
        *kernels("bernoulli_log_likelihood_backward", grad, output, target, None, True, True, True),
        *kernels("gaussian_log_likelihood", output, target, logvar, None, True),
        *kernels("reparameterize_kl", output, logvar, None, None, None, seed, None, 0, True),
    ]
    assert not any(result.isnan().any() for result in results)
