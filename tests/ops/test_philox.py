"""Philox4x32-10: the published words, and the same words from Python and C++."""

from __future__ import annotations

import pytest
import torch
from contract.measure import assert_bitwise, assert_within_ulps

from deepgen_fast import backends
from deepgen_fast.random import philox_normal, philox_words

# Random123 1.14, examples/kat_vectors: (counter, key, output) of philox4x32 with 10 rounds.
KNOWN_ANSWERS = (
    ((0x00000000,) * 4, (0x00000000,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)  # fmt: skip
needs_cpu_library = pytest.mark.skipif(bool(backends.unavailable("cpu")), reason=str(backends.unavailable("cpu")))


def _signed(seed: int) -> int:
    return seed - 2**64 if seed >= 2**63 else seed


def _reference_words(seed: int, counter: tuple[int, ...]) -> tuple[int, ...]:
    words = philox_words(torch.tensor(_signed(seed)), [torch.tensor(word) for word in counter])
    return tuple(int(word) for word in words)


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN_ANSWERS)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], output: tuple[int, ...]) -> None:
    assert _reference_words(key[0] | key[1] << 32, counter) == output


@needs_cpu_library
@pytest.mark.parametrize(("counter", "key", "output"), KNOWN_ANSWERS)
def test_known_answers_in_c(counter: tuple[int, ...], key: tuple[int, int], output: tuple[int, ...]) -> None:
    from deepgen_fast import _C

    assert _C.philox(key[0] | key[1] << 32, *counter) == output


@needs_cpu_library
def test_words_agree_bitwise() -> None:
    from deepgen_fast import _C

    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(0, 2**32, (200, 6), generator=generator)
    for key0, key1, *counter in numbers.tolist():
        assert _C.philox(key0 | key1 << 32, *counter) == _reference_words(key0 | key1 << 32, tuple(counter))


@needs_cpu_library
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (7, 64), (2, 65), (3, 4097), (2, 3, 5)], ids=str)
@pytest.mark.parametrize("samples", [False, True])
def test_noise_of_the_library(size: tuple[int, ...], samples: bool) -> None:
    """The operator philox_normal within 2 ulp of the reference, for any seed and shape."""
    size = (3, *size) if samples else size
    for seed in (0, 1, -1, 2**63 - 1, -(2**63), 0x0123456789ABCDEF):
        key = torch.tensor(seed)
        found = torch.ops.deepgen_fast.philox_normal(key, size, samples)
        assert_within_ulps(found, philox_normal(key, size, samples), 2)


@needs_cpu_library
@pytest.mark.parametrize("count", [1, 2, 3])
def test_noise_does_not_depend_on_threads(count: int, threads: None) -> None:
    expected = torch.ops.deepgen_fast.philox_normal(torch.tensor(7), (3, 501, 37), True)
    torch.set_num_threads(count)
    assert_bitwise(torch.ops.deepgen_fast.philox_normal(torch.tensor(7), (3, 501, 37), True), expected)


def test_extremes_of_the_uniform() -> None:
    """u = x 2^-32 + 2^-33 never reaches 0 nor, but for rounding, passes 1: noise is finite for every word."""
    from deepgen_fast.random import _box_muller

    words = torch.tensor([0, 1, 2**31, 2**32 - 1])
    first, second = _box_muller(words, words.flip(0))
    assert first.isfinite().all() and second.isfinite().all()
    assert first.abs().max() < 6.8
