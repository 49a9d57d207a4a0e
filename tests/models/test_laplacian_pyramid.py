"""The pyramid: exactly invertible, flat where the image is, and its kernel the binomial one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepgen_fast.models.laplacian_pyramid import down, gaussian_pyramid, laplacian_pyramid, reconstruct, up


def images(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    batch=st.integers(0, 3),
    channels=st.integers(1, 4),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    levels=st.integers(1, 4),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    channels_last=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_it_gives_the_images_back(batch, channels, height, width, levels, dtype, channels_last, seed):
    factor = 2 ** (levels - 1)
    x = images(batch, channels, height * factor, width * factor, dtype=dtype, seed=seed)
    x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    pyramid = laplacian_pyramid(x, levels)
    assert [tuple(part.shape[2:]) for part in pyramid] == [
        (height * factor >> level, width * factor >> level) for level in range(levels)
    ]
    # A sum and a difference a level, each rounded once.
    bound = 2 * levels * torch.finfo(dtype).eps * (x.abs().max() if x.numel() else 0.0)
    error = (reconstruct(pyramid) - x).abs()
    assert not (error > bound).any()


def test_bands_hold_what_an_image_loses_on_the_way_down():
    x = images(2, 3, 16, 24)
    detail, rest = laplacian_pyramid(x, 2)
    torch.testing.assert_close(rest, down(x), rtol=0, atol=0)
    torch.testing.assert_close(detail, x - up(down(x)), rtol=0, atol=0)
    assert [tuple(image.shape[2:]) for image in gaussian_pyramid(x, 4)] == [(16, 24), (8, 12), (4, 6), (2, 3)]


def test_down_is_the_binomial_blur_at_every_other_pixel():
    x = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    x[0, 0, 6, 6] = 256.0
    taps = torch.tensor([1.0, 6.0, 1.0], dtype=torch.float64)  # of 1 4 6 4 1, those at even distance
    assert torch.equal(down(x)[0, 0, 2:5, 2:5], torch.outer(taps, taps))
    assert down(x).sum() == 64.0
    odd = down(x.roll((1, 1), (2, 3)))[0, 0, 3:5, 3:5]
    assert torch.equal(odd, torch.full_like(odd, 16.0))


def test_up_inserts_zeros_and_blurs():
    x = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    x[0, 0, 2, 2] = 64.0
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=torch.float64)
    assert torch.equal(up(x)[0, 0, 2:7, 2:7], torch.outer(taps, taps))
    assert up(x).sum() == 256.0


@pytest.mark.parametrize("size", [(2, 2), (2, 6), (8, 8), (10, 14)])
def test_a_flat_image_stays_flat_to_its_border(size):
    x = torch.full((1, 2, *size), 0.75, dtype=torch.float64)
    assert torch.allclose(down(x), x[..., ::2, ::2], rtol=1e-15, atol=0)
    assert torch.allclose(up(x), torch.full((1, 2, 2 * size[0], 2 * size[1]), 0.75, dtype=x.dtype), rtol=1e-15, atol=0)
    assert laplacian_pyramid(x, 2)[0].abs().max() < 1e-15


def test_both_are_linear_and_differentiable():
    x = images(1, 2, 4, 6).requires_grad_()
    assert torch.autograd.gradcheck(down, x) and torch.autograd.gradcheck(up, x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: laplacian_pyramid(torch.zeros(1, 1, 12, 32), 4), "images: a height of 12 pixels cannot be halved 3"),
        (lambda: gaussian_pyramid(torch.zeros(1, 1, 8, 6), 3), "a width of 6 pixels cannot be halved 2 times.* of 4"),
        (lambda: down(torch.zeros(1, 1, 8, 7)), "a width of 7 pixels cannot be halved 1 times"),
        (lambda: down(torch.zeros(1, 8, 8)), r"expected floating point \[B, C, H, W\], got torch.float32 of shape \[1"),
        (lambda: up(torch.zeros(1, 1, 2, 2, dtype=torch.uint8)), r"expected floating point .*got torch.uint8"),
        (lambda: gaussian_pyramid(torch.zeros(1, 1, 8, 8), 0), "levels: expected at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
