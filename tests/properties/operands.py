"""Strategies for tensors: their shapes, layouts and dtypes, ordinary numbers, and numbers that break formulas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
SIZES = (1, 2, 3, 5, 7, 13, 16, 17, 31, 33, 64)
LONG = (129, 4099, 33000)  # beyond a vector, a tile and a chunk of columns
LARGEST = 3000  # elements of an operand that is not one of the long ones


def _dense(value: Tensor) -> Tensor:
    return value


def _transposed(value: Tensor) -> Tensor:
    return value.movedim(-1, 0).contiguous().movedim(0, -1) if value.dim() > 1 else value


def _sliced(value: Tensor) -> Tensor:
    """Every second element of memory that holds NaN between them."""
    return torch.stack([value, torch.full_like(value, _filling(value))], -1)[..., 0]


def _misaligned(value: Tensor) -> Tensor:
    """Contiguous, one element past the start of its storage."""
    return torch.cat([value.new_full((1,), _filling(value)), value.flatten()])[1:].view(value.shape)


def _expanded(value: Tensor) -> Tensor:
    return value[:1].expand(value.shape) if value.dim() > 0 and value.shape[0] > 0 else value


def _repeated_column(value: Tensor) -> Tensor:
    return value[..., :1].expand(value.shape) if value.dim() > 1 and value.shape[-1] > 0 else value


def _negative(value: Tensor) -> Tensor:
    """A view whose negative bit is set, as ``torch.imag`` of a conjugate gives."""
    return torch._neg_view(-value) if value.is_floating_point() else value


def _channels_last(value: Tensor) -> Tensor:
    return value.to(memory_format=torch.channels_last) if value.dim() == 4 else value


def _filling(value: Tensor) -> float:
    return math.nan if value.is_floating_point() else 1


LAYOUTS = {
    "dense": _dense,
    "transposed": _transposed,
    "sliced": _sliced,
    "misaligned": _misaligned,
    "expanded": _expanded,
    "repeated column": _repeated_column,
    "negative": _negative,
    "channels last": _channels_last,
}


@dataclass(frozen=True)
class Numbers:
    """What a tensor holds: normal numbers of a scale, and some others at a few places."""

    seed: int
    scale: float = 1.0
    others: tuple[tuple[int, float], ...] = ()

    def make(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        value = (torch.randn(shape, generator=generator, dtype=torch.float64) * self.scale).to(dtype)
        for place, number in self.others:
            if value.numel():
                value.view(-1)[place % value.numel()] = number
        return value


# Where exp overflows and underflows, in float32 and at half the exponent, and where kernels change the formula.
FINITE = (0.0, -0.0, 1.0, -1.0, 1e-30, -1e-42, 15.9, -20.0, 60.0, -60.0, 88.0, -88.0, 104.0, -104.0, 180.0, -180.0, 1e4,
          -1e4, 1e18, -1e18, 3e38, -3e38)  # fmt: skip
ANY = (*FINITE, math.nan, math.nan, math.inf, -math.inf)
_PLACES = st.integers(0, LARGEST)
_SEEDS = st.integers(0, 2**31 - 1)


def _some_of(numbers: tuple[float, ...]) -> st.SearchStrategy[tuple[tuple[int, float], ...]]:
    return st.lists(st.tuples(_PLACES, st.sampled_from(numbers)), min_size=1, max_size=3).map(tuple)


ordinary = st.builds(Numbers, _SEEDS, st.sampled_from([1.0, 1.0, 0.01, 8.0]))
extreme = st.builds(Numbers, _SEEDS, st.just(1.0), _some_of(FINITE))
special = st.builds(Numbers, _SEEDS, st.just(1.0), _some_of(ANY))
REGIMES = {"ordinary": ordinary, "extreme": extreme, "special": special}
regimes = st.sampled_from(["ordinary", "ordinary", "extreme", "special"])


@dataclass(frozen=True)
class Operand:
    """A tensor to be made, written so that a failing example can be read."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    numbers: Numbers
    layout: str = "dense"
    map: str = ""  # what keeps the numbers in the operand's domain: "positive", "unit interval" or nothing

    def make(self) -> Tensor:
        wide = self.dtype if self.dtype.is_floating_point else torch.float32
        value = self.numbers.make(self.shape, wide)
        if self.map == "positive":
            value = value.abs()
        elif self.map == "unit interval":
            value = value.sigmoid()
        if not self.dtype.is_floating_point:
            value = (value > 0).to(self.dtype)
        return LAYOUTS[self.layout](value)


def operands(
    shape: tuple[int, ...], dtype: torch.dtype, regime: str = "ordinary", map: str = ""
) -> st.SearchStrategy[Operand]:
    """Operands of a shape and dtype in any layout."""
    layouts = st.sampled_from(sorted(LAYOUTS))
    return st.builds(Operand, st.just(shape), st.just(dtype), REGIMES[regime], layouts, st.just(map))


@st.composite
def row_shapes(draw: st.DrawFn, max_dims: int = 3) -> tuple[int, ...]:
    """``[batch, *event]``: empty, one element, odd and prime sizes, and now and then a long row."""
    batch = draw(st.sampled_from([1, 2, 3, 5, 7, 17, 0]))
    if draw(st.integers(0, 39)) == 39:
        return min(batch, 3), draw(st.sampled_from(LONG))
    event = draw(st.lists(st.sampled_from((*SIZES, 0)), max_size=max_dims))
    while event and max(batch, 1) * math.prod(event) > LARGEST:
        event = event[1:]
    return batch, *event


dtypes = st.sampled_from(DTYPES)
incoming = st.sampled_from(
    [1.0, 1.0, 1.0, 0.0, 2.0**16]
)  # scales of the incoming gradient: as is, unused, loss scaling


@st.composite
def repeats(draw: st.DrawFn, shape: tuple[int, ...], scalar: bool = False) -> tuple[int, ...]:
    """A shape that broadcasts to ``shape``: all of it, trailing dimensions, ones in places, or one number."""
    kind = draw(st.sampled_from(["all", "all", "event", "ones", *["scalar"] * scalar]))
    if kind == "scalar":
        return draw(st.sampled_from([(), (1,)]))
    if kind == "event":
        return shape[1:]
    if kind == "ones":
        return tuple(1 if draw(st.booleans()) else size for size in shape)
    return shape
