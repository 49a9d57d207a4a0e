"""batch_norm_act, its backward and channel_statistics on Triton against their references in float64."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from accuracy import assert_as_accurate_as_eager, assert_statistics

from deepgen_fast.ops import triton_channels
from deepgen_fast.ops.batch_norm_act import reference
from deepgen_fast.ops.batch_norm_act import triton as kernels
from deepgen_fast.ops.batch_norm_act.function import Norm, normalize_by_batch
from deepgen_fast.ops.rows import accumulation_dtype

DTYPES = [torch.float32, torch.float64, torch.bfloat16]
# One number; channels that fill no tile; channels that do.
LAYOUTS = pytest.mark.parametrize("channels_last", [False, True])
SHAPES = [(1, 1, 1, 1), (3, 5, 3, 2), (2, 16, 3, 7)]
NONE, RELU, LEAKY_RELU, TANH, SIGMOID = ACTIVATIONS = range(5)


def draw(shape, seed, device, dtype=torch.float32, channels_last=False):
    value = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(device)
    return value.contiguous(memory_format=torch.channels_last) if channels_last else value


def operands(shape, device, dtype=torch.float32, channels_last=True, affine=True):
    """(grad_output, input, mean, invstd, weight, bias)."""
    wide, channels = accumulation_dtype(dtype), shape[1:2]
    value = draw(shape, 1, device, dtype, channels_last)
    mean = draw(channels, 3, device, wide) * 0.1
    invstd = draw(channels, 4, device, wide).abs() + 0.5
    weight, bias = (draw(channels, seed, device, wide) if affine else None for seed in (5, 6))
    return draw(shape, 2, device, dtype, channels_last), value, mean, invstd, weight, bias


def check(arguments, activation, slope=0.2, trainings=(True, False)):
    """Forward, and backward in training and in eval."""
    assert_as_accurate_as_eager(kernels.batch_norm_act, reference.batch_norm_act, (*arguments[1:], activation, slope))
    for training in trainings:
        assert_as_accurate_as_eager(
            kernels.batch_norm_act_backward,
            reference.batch_norm_act_backward,
            (*arguments, activation, slope, training, True, True),
        )


@LAYOUTS
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_dtypes(shape, dtype, channels_last, device):
    check(operands(shape, device, dtype, channels_last), LEAKY_RELU, trainings=(True,))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, dtype, device):
    check(operands((2, 7, 2, 3), device, dtype), activation)


def test_without_parameters(device):
    check(operands((2, 7, 2, 3), device, affine=False), RELU)


def test_only_what_is_needed_is_made(device):
    arguments = operands((2, 7, 2, 3), device)
    full = {
        training: kernels.batch_norm_act_backward(*arguments, RELU, 0.0, training, True, True)
        for training in (True, False)
    }
    for training, need_input, need_affine in itertools.product((True, False), repeat=3):
        found = kernels.batch_norm_act_backward(*arguments, RELU, 0.0, training, need_input, need_affine)
        for ours, whole, need in zip(found, full[training], (need_input, need_affine, need_affine), strict=True):
            assert torch.equal(ours, whole) if need else ours.numel() == 0


def test_many_tiles_a_program(monkeypatch, device):
    monkeypatch.setattr(kernels, "COMBINED_TILES", 2)
    monkeypatch.setattr(kernels.ChannelTile, "of", classmethod(lambda cls, *sizes, **elements: cls(4, 64, 5, 2, False)))
    monkeypatch.setattr(kernels.ChannelTile, "options", lambda self: {"num_warps": 4, "enable_fp_fusion": False})
    check(operands((1, 70, 6, 3), device), TANH, trainings=(True,))


@LAYOUTS
def test_offsets_of_64_bits(channels_last, monkeypatch, device):
    for module in (kernels, triton_channels):
        monkeypatch.setattr(module, "is_wide", lambda *elements: True)
    shape = (2, 131 if channels_last else 5, 2, 5)
    check(operands(shape, device, channels_last=channels_last), RELU, trainings=(True,))
    value = draw(shape, 1, device, channels_last=channels_last)
    assert_statistics(kernels.channel_statistics(value), value, 20)


@LAYOUTS
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_statistics(shape, dtype, channels_last, device):
    value = draw(shape, 1, device, dtype, channels_last)
    assert_statistics(kernels.channel_statistics(value), value, 64)


@LAYOUTS
def test_statistics_far_from_zero(channels_last, device):
    for value in (draw((4, 5, 8, 8), 1, device) * 1e-2 + 1e3, torch.full((4, 5, 8, 8), 0.1, device=device)):
        value = value.contiguous(memory_format=torch.channels_last) if channels_last else value
        assert_statistics(kernels.channel_statistics(value), value, 256)


def test_statistics_of_what_is_not_finite(device):
    value = draw((2, 3, 4, 4), 1, device)
    value[0, 0, 0, 0], value[0, 1, 0, 0] = math.inf, math.nan
    mean, squares = kernels.channel_statistics(value)
    assert mean.tolist()[0] == math.inf and mean[1].isnan() and squares[:2].isnan().all()
    assert mean[2].isfinite() and squares[2].isfinite()


def test_partials_are_combined_in_two_steps(monkeypatch, device):
    monkeypatch.setattr(triton_channels, "COMBINED_TILES", 3)
    counts = torch.tensor([4.0, 1.0, 0.0, 2.0, 7.0, 4.0, 4.0, 3.0, 1.0, 5.0, 5.0], device=device)
    numbers = [draw((int(count), 20), seed, device) * seed + seed**2 for seed, count in enumerate(counts)]
    partial = torch.stack([reference.channel_statistics(part[:, :, None, None]).nan_to_num(0.0) for part in numbers])
    found = triton_channels.combine_moments(triton_channels.Moments(partial, counts.double()))
    expected = reference.channel_statistics(torch.cat(numbers)[:, :, None, None])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_special_values(dtype, device):
    huge, inf, nan = torch.finfo(dtype).max, math.inf, math.nan
    row = [0.0, -0.0, 1e-30, 0.6, 0.63, -0.63, 20.0, -20.0, 90.0, -90.0, huge, -huge, inf, -inf, nan]
    value = torch.tensor(row, dtype=dtype, device=device).view(1, 1, 1, -1)
    zero, one = (torch.full((1,), float(v), dtype=dtype, device=device) for v in (0, 1))
    for activation in ACTIVATIONS:
        arguments = (value, zero, one, None, None, activation, 0.2)
        torch.testing.assert_close(
            kernels.batch_norm_act(*arguments), reference.batch_norm_act(*arguments), equal_nan=True
        )
        grad, _, _ = kernels.batch_norm_act_backward(torch.ones_like(value), *arguments, False, True, False)
        expected, _, _ = reference.batch_norm_act_backward(torch.ones_like(value), *arguments, False, True, False)
        # Where eager loses the derivative of tanh to cancellation, the kernel need not.
        torch.testing.assert_close(grad, expected, equal_nan=True)


def test_the_layout_is_the_input_s(device):
    grad, value, *rest = operands((2, 7, 2, 3), device)
    grads = kernels.batch_norm_act_backward(grad, value, *rest, RELU, 0.0, True, True, True)
    output = kernels.batch_norm_act(value, *rest, RELU, 0.0)
    for format in (torch.contiguous_format, torch.channels_last):
        moved = value.contiguous(memory_format=format)
        found = kernels.batch_norm_act_backward(grad, moved, *rest, RELU, 0.0, True, True, True)
        same = kernels.batch_norm_act(moved, *rest, RELU, 0.0)
        assert same.is_contiguous(memory_format=format) and torch.equal(same, output)
        assert found[0].is_contiguous(memory_format=format)
        for ours, theirs in zip(found, grads, strict=True):
            torch.testing.assert_close(ours, theirs)
    other = value.transpose(0, 3).contiguous().transpose(0, 3)
    assert torch.equal(kernels.batch_norm_act(other, *rest, RELU, 0.0), output)
    for spaces in ((), (6,), (1, 2, 3)):
        flat = kernels.batch_norm_act(value.reshape(2, 7, *spaces) if spaces else value[..., 0, 0], *rest, RELU, 0.0)
        assert torch.equal(flat, output.reshape(2, 7, *spaces) if spaces else output[..., 0, 0])


def test_nothing_to_do(device):
    grad, value, *rest = operands((0, 7, 2, 3), device)
    assert kernels.batch_norm_act(value, *rest, RELU, 0.0).shape == value.shape
    grads = kernels.batch_norm_act_backward(grad, value, *rest, RELU, 0.0, True, True, True)
    assert [tuple(g.shape) for g in grads] == [(0, 7, 2, 3), (7,), (7,)] and not any(g.any() for g in grads)
    assert kernels.channel_statistics(value).shape == (2, 7)


def test_twice_gives_the_same_bits(device):
    arguments = operands((4, 20, 5, 5), device)
    first, second = (
        (
            kernels.channel_statistics(arguments[1]),
            *kernels.batch_norm_act_backward(*arguments, TANH, 0.0, True, True, True),
        )
        for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_running_statistics_move_as_pytorchs_do(device):
    """Few values a channel, where the unbiased variance is another number than the batch's."""
    x = draw((2, 5, 1, 2), 1, device)
    moved, expected = ([torch.full((5,), 0.5, device=device), torch.full((5,), 2.0, device=device)] for _ in range(2))
    normalize_by_batch(x, None, Norm(*moved, None, None, 0.3, 1e-5), NONE, 0.0, "triton")
    torch.nn.functional.batch_norm(x, *expected, training=True, momentum=0.3)
    for found, wanted in zip(moved, expected, strict=True):
        torch.testing.assert_close(found, wanted)
