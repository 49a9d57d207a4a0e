"""The Philox stream: words to the bit, normals within two units in the last place, independent of the
tile."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl
from accuracy import ulp
from ops import plain_philox

from deepgen_fast.ops import triton_noise
from deepgen_fast.random import philox_normal, philox_words

# Known answers of Philox4x32-10 (Random123's kat_vectors): counter, key, words.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@triton.jit
def _words_kernel(out_ptr, counter_ptr, key_ptr, COUNT: tl.constexpr):
    index = tl.arange(0, COUNT)
    words = triton_noise.philox4x32(
        tl.load(key_ptr).to(tl.uint32),
        tl.load(key_ptr + 1).to(tl.uint32),
        tl.load(counter_ptr + index).to(tl.uint32),
        tl.load(counter_ptr + COUNT + index).to(tl.uint32),
        tl.load(counter_ptr + 2 * COUNT + index).to(tl.uint32),
        tl.load(counter_ptr + 3 * COUNT + index).to(tl.uint32),
    )
    for word in tl.static_range(4):
        tl.store(out_ptr + word * COUNT + index, words[word].to(tl.int64))


@triton.jit
def _normal_kernel(out_ptr, seed_ptr, first_row, first_group, sample, ROWS: tl.constexpr, COLS: tl.constexpr):
    row = first_row + tl.arange(0, ROWS)
    noise = triton_noise.philox_normal(tl.load(seed_ptr), row, first_group, tl.cast(sample, tl.int32), ROWS, COLS)
    tl.store(out_ptr + tl.arange(0, ROWS)[:, None] * COLS + tl.arange(0, COLS)[None, :], noise)


def words(counter, key, device):
    out = torch.zeros_like(counter)
    _words_kernel[(1,)](out, counter, key, COUNT=counter.shape[1], enable_fp_fusion=False)
    return out


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(counter, key, expected, device):
    counter = torch.tensor(counter, dtype=torch.int64, device=device).view(4, 1)
    found = words(counter, torch.tensor(key, dtype=torch.int64, device=device), device)
    assert found.view(4).tolist() == list(expected)


def test_words_equal_the_reference(device):
    generator = torch.Generator().manual_seed(3)
    counter = torch.randint(0, 2**32, (4, 4096), generator=generator)
    key = torch.randint(0, 2**32, (2,), generator=generator)
    seed = key[0] | (key[1] << 32)
    expected = torch.stack(philox_words(seed, list(counter)))
    assert torch.equal(words(counter.to(device), key.to(device), device).cpu(), expected)


@pytest.mark.parametrize(("rows", "cols"), [(4, 4), (8, 64), (1, 1024)])
def test_normals_equal_the_reference(rows, cols, device):
    seed = torch.tensor(0x1234_5678_9ABC_DEF0)
    found = torch.zeros(rows, cols, device=device)
    _normal_kernel[(1,)](found, seed.to(device), 0, 0, 2, ROWS=rows, COLS=cols, enable_fp_fusion=False)
    expected = philox_normal(seed, (3, rows, cols), samples=True)[2]
    error = (found.cpu().double() - expected.double()).abs() / ulp(expected.double(), torch.float32)
    assert float(error.max()) <= 2.0


def test_examples_beyond_32_bits_and_late_columns(device):
    seed = torch.tensor(-7)
    row, group, sample = 2**33 + 5, 12, 9
    found = torch.zeros(1, 8, device=device)
    _normal_kernel[(1,)](found, seed.to(device), row, group, sample, ROWS=1, COLS=8, enable_fp_fusion=False)
    counter = [torch.tensor([group, group + 1]), *(torch.tensor(w) for w in (5, 2, sample))]
    expected = torch.stack(philox_words(seed, torch.broadcast_tensors(*counter)))  # [4 words, 2 groups]
    near = torch.zeros(4, 2, dtype=torch.int64, device=device)
    counters = torch.stack(torch.broadcast_tensors(*counter)).contiguous()
    key = torch.tensor([seed.item() & 0xFFFFFFFF, (seed.item() >> 32) & 0xFFFFFFFF])
    near = words(counters.to(device), key.to(device), device)
    assert torch.equal(near.cpu(), expected)
    radius = torch.sqrt(-2.0 * torch.log(expected[0].double() * 2.0**-32 + 2.0**-33))
    angle = 2.0 * torch.pi * (expected[1].double() * 2.0**-32 + 2.0**-33)
    assert torch.allclose(found.cpu().view(2, 4)[:, 0].double(), radius * torch.cos(angle), atol=1e-5)


@pytest.mark.parametrize("first", plain_philox.FIRST_EXAMPLES)
def test_examples_across_multiples_of_2_to_the_32(first, device):
    for seed, (group, sample) in zip(plain_philox.SEEDS, ((0, 0), (3, 7), (1, 2**31 - 1)) * 2, strict=True):
        found = torch.zeros(16, 8, device=device)
        key = torch.tensor(seed, device=device)
        _normal_kernel[(1,)](found, key, first, group, sample, ROWS=16, COLS=8, enable_fp_fusion=False)
        expected = plain_philox.noise(seed, sample, first, 16, 4 * group + 8)[:, 4 * group :]
        error = (found.cpu().double() - expected).abs() / ulp(expected, torch.float32)
        assert float(error.max()) <= 3.0
