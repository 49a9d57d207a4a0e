"""The high words of the noise's counter and key: examples past 2^32, late samples, seeds of 64 bits, on every backend.

Of Triton in ``triton_backend/kernels/test_noise.py``.
"""

from __future__ import annotations

import ctypes

import pytest
import torch
from contract.measure import assert_within_ulps
from cuda.kernels import why_no_emulation
from simt import build
from torch import Tensor

from deepgen_fast import backends
from deepgen_fast.random import _normals, philox_words
from ops import plain_philox
from ops.plain_philox import FIRST_EXAMPLES, SEEDS

ROWS = 11
ULPS = 3  # of numbers rounded in log, root, angle, cosine and product; another word gives another number
SHAPES = ((0, 1), (7, 6), (2**31 + 5, 9), (2**32 - 1, 3))  # samples and columns


def _expected(seed: int, sample: int, first: int, columns: int) -> Tensor:
    return plain_philox.noise(seed, sample, first, ROWS, columns)


def test_words_of_the_reference() -> None:
    generator = torch.Generator().manual_seed(1)
    draws = torch.randint(0, 2**32, (300, 4), generator=generator).tolist()
    for index, counter in enumerate([*draws, [0, 0, 1, 0], [0, 0, 0, 1], [2**32 - 1] * 4]):
        seed = SEEDS[index % len(SEEDS)]
        found = philox_words(torch.tensor(seed), [torch.tensor(word) for word in counter])
        assert tuple(int(word) for word in found) == plain_philox.words(seed, tuple(counter))


@pytest.mark.parametrize("first", FIRST_EXAMPLES)
def test_reference(first: int) -> None:
    example = torch.arange(first, first + ROWS).view(1, ROWS, 1)
    for seed, (sample, columns) in zip(SEEDS, SHAPES * 2, strict=False):
        found = _normals(torch.tensor(seed), torch.tensor([[[sample]]]), example, columns)
        assert_within_ulps(found[0], _expected(seed, sample, first, columns), 1)


@pytest.mark.skipif(bool(backends.unavailable("cpu")), reason=str(backends.unavailable("cpu")))
@pytest.mark.parametrize("first", FIRST_EXAMPLES)
def test_cpu_kernels(first: int) -> None:
    """The operator of noise alone, and reparameterize_kl forward and backward, whose tiles hold several examples."""
    from deepgen_fast import _C

    for seed, (sample, columns) in zip(SEEDS, SHAPES * 2, strict=False):
        found = _C.noise_of_examples(seed & (2**64 - 1), sample, first, ROWS, columns)
        for values, at in zip(found, (sample, 0, 0), strict=True):
            assert_within_ulps(torch.tensor(values).view(ROWS, columns), _expected(seed, at, first, columns), ULPS)


@pytest.mark.skipif(why_no_emulation() is not None, reason=str(why_no_emulation()))
@pytest.mark.parametrize("first", FIRST_EXAMPLES)
def test_emulated_cuda_kernels(first: int) -> None:
    draw = build.load().simt_noise_of_examples
    for seed, (sample, columns) in zip(SEEDS, SHAPES * 2, strict=False):
        sample = sample if first == 0 else sample % 2**20  # a row is sample * batch + example, which must fit 63 bits
        zeros, ones = torch.zeros(ROWS, columns), torch.ones(ROWS, columns)
        noise, z, grad_mean, grad_std = (torch.empty(ROWS, columns) for _ in range(4))
        numbers = (seed, sample, first, ROWS, columns)
        tensors = (zeros, ones, noise, z, grad_mean, grad_std)
        draw(*map(ctypes.c_int64, numbers), *(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors))
        for values, at in ((noise, sample), (z, 0), (grad_std, 0)):
            assert_within_ulps(values, _expected(seed, at, first, columns), ULPS)
