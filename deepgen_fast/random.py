"""Seeds and counter-based noise: the reference of the Philox4x32-10 stream that every backend reproduces.

The noise of column j of example b in sample m is a pure function of (seed, b, j, m). It does not depend on
backend, instruction set, thread count, batch size or number of samples.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; Box and Muller 1958.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

_ROUND_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
_MASK32 = 0xFFFFFFFF
_SEED_LIMIT = 2**63 - 1


def draw_seed(device: torch.device | str = "cpu", generator: torch.Generator | None = None) -> Tensor:
    """Draw a 63-bit seed from torch's generator, so that ``torch.manual_seed`` decides the noise.

    Args:
        device: where the seed is needed; kernels read it from this device's memory (no synchronization).
        generator: drawn from in place of the device's default generator.

    Returns:
        int64 tensor of shape ``[]``.
    """
    if torch.compiler.is_compiling() and generator is None:
        return _draw_seed(device=torch.device(device))
    return torch.randint(_SEED_LIMIT, (), device=device, generator=generator)


# Inductor has random numbers of its own; an opaque operator draws from torch's generator, as eager does. The device
# is a keyword: where no argument is a tensor, torch.utils.checkpoint looks for it there, to keep the generator's state.
@torch.library.custom_op("deepgen_fast_random::draw_seed", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _draw_seed(*, device: torch.device) -> Tensor:
    return torch.randint(_SEED_LIMIT, (), device=device)


@_draw_seed.register_fake
def _(*, device: torch.device) -> Tensor:
    return torch.empty((), dtype=torch.int64, device=device)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this, torch's global generator of the CPU draws from ``seed``; its own state is put back."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would reach the generators of GPUs, too.
        torch.default_generator.manual_seed(seed)
        yield


def seeded_noise(mean: Tensor, num_samples: int | None, generator: torch.Generator | None) -> Tensor:
    """Noise of z's shape as a tensor, for torch.func, whose vmap decides whether lanes share a seed.

    ``torch.vmap(..., randomness="different")`` gives each lane a seed of its own, ``"same"`` one seed to all, and
    ``"error"`` raises, as for torch's own random functions.
    """
    seed = torch.randint(_SEED_LIMIT, (), device=mean.device, generator=generator)
    size = mean.shape if num_samples is None else (num_samples, *mean.shape)
    return philox_normal(seed, size, num_samples is not None).to(mean.dtype)


def recorded_noise(mean: Tensor, num_samples: int | None, generator: torch.Generator | None) -> Tensor:
    """Noise of z's shape by ``torch.randn_like``, for a program that is recorded and may run without this library.

    Raises:
        ValueError: a generator is given, which such a program cannot hold.
    """
    if generator is not None:
        raise ValueError("generator must be None where a program is recorded (torch.export, ONNX, torch.jit, torch.fx)")
    if num_samples is None:
        return torch.randn_like(mean)
    return torch.randn_like(mean.unsqueeze(0).repeat_interleave(num_samples, 0))


def _multiply_high_low(multiplier: int, word: Tensor) -> tuple[Tensor, Tensor]:
    # The product of two 32-bit words wraps in int64; its bits are right, so shift and mask recover both halves.
    product = word * multiplier
    return (product >> 32) & _MASK32, product & _MASK32


def philox_words(seed: Tensor, counter: Sequence[Tensor]) -> list[Tensor]:
    """Four 32-bit output words of Philox4x32-10.

    Args:
        seed: int64 tensor, its low and high 32 bits are the key.
        counter: four int64 tensors of one shape (or broadcastable), each holding an unsigned 32-bit word.

    Returns:
        Four int64 tensors holding unsigned 32-bit words.
    """
    word0, word1, word2, word3 = counter
    key0, key1 = seed & _MASK32, (seed >> 32) & _MASK32
    for _ in range(10):
        high0, low0 = _multiply_high_low(_ROUND_MULTIPLIERS[0], word0)
        high1, low1 = _multiply_high_low(_ROUND_MULTIPLIERS[1], word2)
        word0, word1, word2, word3 = high1 ^ word1 ^ key0, low1, high0 ^ word3 ^ key1, low0
        key0, key1 = (key0 + _KEY_INCREMENTS[0]) & _MASK32, (key1 + _KEY_INCREMENTS[1]) & _MASK32
    return [word0, word1, word2, word3]


def _box_muller(radius_word: Tensor, angle_word: Tensor) -> tuple[Tensor, Tensor]:
    def uniform(word: Tensor) -> Tensor:
        # u = x 2^-32 + 2^-33 with the two float32 roundings a kernel makes, exact in float64 before the last one.
        return (word.to(torch.float32).double() * 2.0**-32 + 2.0**-33).float().double()

    radius = torch.sqrt(-2.0 * torch.log(uniform(radius_word)))
    angle = (2.0 * math.pi) * uniform(angle_word)
    return (radius * torch.cos(angle)).float(), (radius * torch.sin(angle)).float()


def philox_normal(seed: Tensor, size: Sequence[int], samples: bool = False) -> Tensor:
    """Standard normal noise in float32, the reference of what the kernels generate in registers.

    Args:
        seed: int64 tensor of shape ``[]``, see :func:`draw_seed`.
        size: ``[batch, *event]``, or ``[samples, batch, *event]`` when ``samples`` is true.
        samples: whether the first dimension counts samples.

    Returns:
        float32 tensor of shape ``size`` on the seed's device.
    """
    count = size[0] if samples else 1
    batch, event = (size[1], size[2:]) if samples else (size[0], size[1:])
    device = seed.device
    sample = torch.arange(count, device=device).view(count, 1, 1)
    example = torch.arange(batch, device=device).view(1, batch, 1)
    return _normals(seed, sample, example, math.prod(event)).reshape(tuple(size))


def _normals(seed: Tensor, sample: Tensor, example: Tensor, columns: int) -> Tensor:
    """Noise [samples, examples, columns] of the samples [samples, 1, 1] and the examples [1, examples, 1]."""
    groups = (columns + 3) // 4
    group = torch.arange(groups, device=seed.device).view(1, 1, groups)
    words = philox_words(seed, torch.broadcast_tensors(group, example & _MASK32, example >> 32, sample))
    first, second = _box_muller(words[0], words[1])
    third, fourth = _box_muller(words[2], words[3])
    noise = torch.stack((first, second, third, fourth), dim=-1).view(sample.shape[0], example.shape[1], groups * 4)
    return noise[..., :columns]


class BatchNoise:
    """Numbers drawn for the examples of a batch, the same whether one process holds the batch or several share it.

    Each process draws for all rows and keeps its own, so ``generator`` must be in the same state in all of them.

    Args:
        generator: decides the numbers; torch's default generator when None.
        rows: of the whole batch, which of them are here; None: all.
    """

    def __init__(self, generator: torch.Generator | None = None, rows: tuple[int, slice] | None = None) -> None:
        self.generator = generator
        self.rows = rows

    def whole(self, count: int) -> int:
        """Number of rows of the whole batch, ``count`` of which are here."""
        return count if self.rows is None else self.rows[0]

    def here(self, drawn: Tensor) -> Tensor:
        """This process's rows of what was drawn for the whole batch."""
        return drawn if self.rows is None else drawn[self.rows[1]]

    def uniform(self, size: Sequence[int], like: Tensor) -> Tensor:
        """Numbers in [0, 1) of shape ``size``, whose first dimension counts the rows here; dtype and device of
        ``like``."""
        return self._draw(torch.rand, size, like)

    def normal(self, size: Sequence[int], like: Tensor) -> Tensor:
        """Standard normal numbers; otherwise as ``uniform``."""
        return self._draw(torch.randn, size, like)

    def integers(self, size: Sequence[int], high: int, like: Tensor) -> Tensor:
        """Integers from 0 to ``high - 1``, int64; by ``uniform``, with its dtype's digits."""
        # Numbers below 1 may give ``high`` itself when multiplied.
        return (self.uniform(size, like) * high).long().clamp(max=high - 1)

    def _draw(self, function: Callable[..., Tensor], size: Sequence[int], like: Tensor) -> Tensor:
        whole = (self.whole(size[0]), *size[1:])
        return self.here(function(whole, generator=self.generator, dtype=like.dtype, device=like.device))
