"""Philox4x32-10 normal noise in registers, the stream that deepgen_fast.random specifies."""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import log_positive, sincos_turn

_MULTIPLIER_0 = tl.constexpr(0xD2511F53)
_MULTIPLIER_1 = tl.constexpr(0xCD9E8D57)
_KEY_STEP_0 = tl.constexpr(0x9E3779B9)
_KEY_STEP_1 = tl.constexpr(0xBB67AE85)


@triton.jit
def philox4x32(key0, key1, word0, word1, word2, word3):
    """Four output words of Philox4x32-10; all arguments are uint32."""
    for _ in tl.static_range(10):
        high0 = tl.umulhi(word0, _MULTIPLIER_0)
        high1 = tl.umulhi(word2, _MULTIPLIER_1)
        low0 = tl.mul(word0, _MULTIPLIER_0, sanitize_overflow=False)
        low1 = tl.mul(word2, _MULTIPLIER_1, sanitize_overflow=False)
        word0 = high1 ^ word1 ^ key0
        word2 = high0 ^ word3 ^ key1
        word1 = low1
        word3 = low0
        key0 = tl.add(key0, _KEY_STEP_0, sanitize_overflow=False)
        key1 = tl.add(key1, _KEY_STEP_1, sanitize_overflow=False)
    return word0, word1, word2, word3


@triton.jit
def _uniform(word):
    return tl.fma(word.to(tl.float32), 2.3283064365386963e-10, 1.1641532182693481e-10)


@triton.jit
def box_muller(radius_word, angle_word):
    """Two independent normals: radius from the first word, angle from the second (Box and Muller 1958)."""
    radius = tl.sqrt_rn(-2.0 * log_positive(_uniform(radius_word)))
    sine, cosine = sincos_turn(_uniform(angle_word))
    return radius * cosine, radius * sine


@triton.jit
def philox_normal(seed, row, first_group, sample, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Normals of a tile [ROWS, COLS] of float32.

    Args:
        seed: int64 scalar.
        row: [ROWS], the example's index in the batch, int32 or int64.
        first_group: scalar, the tile's first column divided by four.
        sample: scalar index of the sample.

    Four neighboring columns share one counter, so the words are computed on [ROWS, COLS / 4] and interleaved
    in registers: a thread that holds four neighboring columns for a 128-bit access computes exactly one
    counter.
    """
    group = first_group + tl.arange(0, COLS // 4)
    word0 = group.to(tl.uint32)[None, :] + tl.zeros([ROWS, COLS // 4], tl.uint32)
    word1 = row.to(tl.uint32)[:, None] + tl.zeros([ROWS, COLS // 4], tl.uint32)
    word2 = (row.to(tl.int64) >> 32).to(tl.uint32)[:, None] + tl.zeros([ROWS, COLS // 4], tl.uint32)
    word3 = sample.to(tl.uint32) + tl.zeros([ROWS, COLS // 4], tl.uint32)
    key0 = seed.to(tl.uint32)
    key1 = (seed >> 32).to(tl.uint32)
    word0, word1, word2, word3 = philox4x32(key0, key1, word0, word1, word2, word3)
    normal0, normal1 = box_muller(word0, word1)
    normal2, normal3 = box_muller(word2, word3)
    # join appends a dimension: [i, p, q] holds normal 2 p + q, so the flattened order is the columns'.
    quad = tl.join(tl.join(normal0, normal2), tl.join(normal1, normal3))
    return tl.reshape(quad, (ROWS, COLS))
