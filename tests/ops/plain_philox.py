"""Philox4x32-10 and the noise made of it, in plain Python integers and floats: written from the paper, for tests.

Column j of example b in sample m is made of output j % 4 of the counter (j // 4, b's low and high 32 bits, m) under the
key (seed's low and high 32 bits). Box-Muller takes outputs (0, 1) and (2, 3), the radius from the first of each.
"""

from __future__ import annotations

import math
import struct

import torch
from torch import Tensor

# A row that begins before a multiple of 2^32 and ends after it: the low word of the example's index wraps, the high
# word is carried into.
FIRST_EXAMPLES = (0, 2**32 - 5, 2**32, 2**33 - 1, 5 * 2**32 + 7, 2**40 + 2**31)
SEEDS = (0, -1, 2**63 - 1, -(2**63), 0x0123456789ABCDEF, -0x0FEDCBA987654321)


def words(seed: int, counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The four output words of a counter of four 32-bit words."""
    key0, key1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    a, b, c, d = counter
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (right >> 32) ^ b ^ key0, right & 0xFFFFFFFF, (left >> 32) ^ d ^ key1, left & 0xFFFFFFFF
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def _float32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


def _uniform(word: int) -> float:
    return _float32(_float32(float(word)) * 2.0**-32 + 2.0**-33)


def _normals(radius: int, angle: int) -> tuple[float, float]:
    r, t = math.sqrt(-2.0 * math.log(_uniform(radius))), 2.0 * math.pi * _uniform(angle)
    return r * math.cos(t), r * math.sin(t)


def noise(seed: int, sample: int, first: int, rows: int, columns: int) -> Tensor:
    """Float64 [rows, columns] of examples from ``first`` on."""
    found = []
    for example in range(first, first + rows):
        row: list[float] = []
        for group in range(-(-columns // 4)):
            a, b, c, d = words(seed, (group, example & 0xFFFFFFFF, example >> 32, sample))
            row += (*_normals(a, b), *_normals(c, d))
        found.append(row[:columns])
    return torch.tensor(found, dtype=torch.float64).view(rows, columns)
