"""Mixtures of Gaussians, densities that are known exactly: rings, grids, and mixtures on the line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from deepgen_fast.data.splits import DatasetSplits, Split


class NearestMode(NamedTuple):
    """mode ``[N]`` int64, the nearest component, and the distance ``[N]`` to its mean in its standard deviations."""

    mode: Tensor
    distance: Tensor


class GaussianMixture:
    """p(x) = sum_k w_k N(x; mu_k, sigma_k^2 I): what can be sampled exactly, and evaluated.

    Its numbers are kept in float64 on the CPU, and used on the device of whatever is asked about.

    Args:
        means: mu, ``[K, d]``, or ``[K]`` for a mixture on the line (d = 1).
        std: sigma, one number for all components or ``[K]``.
        weights: w, ``[K]``, positive; divided by their sum. Equal when None.

    Raises:
        ValueError: for means, std or weights of another shape or out of range.
    """

    def __init__(
        self,
        means: Tensor | Sequence[float] | Sequence[Sequence[float]],
        std: Tensor | Sequence[float] | float,
        weights: Tensor | Sequence[float] | None = None,
    ) -> None:
        means = torch.as_tensor(means, dtype=torch.float64, device="cpu")
        if means.dim() == 1:
            means = means.unsqueeze(1)
        if means.dim() != 2 or means.numel() == 0 or not means.isfinite().all():
            raise ValueError(f"means: expected finite numbers of shape [K, d] or [K], got shape {list(means.shape)}")
        self.means = means
        self.std = _positive("std", std, len(means))
        weights = _positive("weights", 1.0 if weights is None else weights, len(means))
        self.weights = weights / weights.sum()

    @property
    def num_modes(self) -> int:
        """K, the number of components."""
        return self.means.shape[0]

    @property
    def dim(self) -> int:
        """d, the number of coordinates of x."""
        return self.means.shape[1]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_modes} modes in {self.dim} dimensions)"

    def sample(
        self, count: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Draw x ``[count, d]`` from p(x), independently: first the component, then the Gaussian.

        Args:
            count: how many.
            generator: on the CPU; torch's default generator when None.
            dtype: of the result. The sum mu + sigma * noise is made in float64.
        """
        return self.sample_with_modes(count, generator=generator, dtype=dtype)[0]

    def sample_with_modes(
        self, count: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Draw x ``[count, d]`` as ``sample`` does, and tell the components ``[count]`` (int64) it came from."""
        if count < 1:
            raise ValueError(f"count: expected at least 1, got {count}")
        modes = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.dim, generator=generator, dtype=torch.float64)
        return torch.addcmul(self.means[modes], self.std[modes].unsqueeze(1), noise).to(dtype), modes

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), ``[...]`` for x ``[..., d]``, in x's dtype, differentiable; computed in float64.

        Raises:
            ValueError: when the last dimension of x is not d.
        """
        std, weights = self.std.to(x.device), self.weights.to(x.device)
        log_normalizer = self.dim * (std.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(weights.log() - log_normalizer - 0.5 * self._squared_distances(x), dim=-1).to(x.dtype)

    def nearest_mode(self, x: Tensor) -> NearestMode:
        """The component that each point is fewest standard deviations from, for x ``[N, d]``.

        Raises:
            ValueError: when the last dimension of x is not d.
        """
        squared, mode = self._squared_distances(x).min(dim=-1)
        return NearestMode(mode, squared.sqrt())

    def bounds(self, num_std: float) -> tuple[Tensor, Tensor]:
        """Lowest and highest corner ``[d]`` of the box that holds every mean and num_std deviations around it."""
        reach = num_std * self.std.unsqueeze(1)
        return (self.means - reach).amin(0), (self.means + reach).amax(0)

    def _squared_distances(self, x: Tensor) -> Tensor:
        """``[..., K]``, in standard deviations of each component; by differences, exact for near points."""
        if x.dim() < 1 or x.shape[-1] != self.dim:
            raise ValueError(f"x: expected shape [..., {self.dim}], got {list(x.shape)}")
        means, std = self.means.to(x.device), self.std.to(x.device)
        return ((x.double().unsqueeze(-2) - means) / std.unsqueeze(1)).square().sum(-1)


def ring_of_gaussians(num_modes: int = 8, *, radius: float = 1.0, std: float = 0.01) -> GaussianMixture:
    """Equal Gaussians at equal angles on a circle, the first at angle 0.

    The defaults are the ring of Srivastava et al. 2017 (VEEGAN, section 4.1) as Lin et al. 2018 (PacGAN, section 4.1)
    print its numbers.

    Raises:
        ValueError: for fewer than one mode, or a radius or std that is not positive.
    """
    _at_least_one("num_modes", num_modes)
    angles = torch.arange(num_modes, dtype=torch.float64) * (2 * math.pi / num_modes)
    means = _positive("radius", radius, 1) * torch.stack((angles.cos(), angles.sin()), dim=1)
    return GaussianMixture(means, std)


def grid_of_gaussians(side: int = 5, *, spacing: float = 2.0, std: float = 0.05) -> GaussianMixture:
    """Equal Gaussians on a square grid of side x side points around the origin, row by row.

    The defaults are the grid of 25 of Srivastava et al. 2017 (VEEGAN, section 4.1) as Lin et al. 2018 (PacGAN,
    section 4.1) print its numbers: means from -4 to 4 in steps of 2.

    Raises:
        ValueError: for a side below 1, or a spacing or std that is not positive.
    """
    _at_least_one("side", side)
    ticks = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) * _positive("spacing", spacing, 1)
    return GaussianMixture(torch.cartesian_prod(ticks, ticks).reshape(-1, 2), std)


def ring() -> DatasetSplits:
    """100,000 points of ``ring_of_gaussians()`` to train and 10,000 to test, float32 ``[N, 2]``; labels are modes."""
    return _drawn("ring", ring_of_gaussians())


def grid() -> DatasetSplits:
    """100,000 points of ``grid_of_gaussians()`` to train and 10,000 to test, float32 ``[N, 2]``; labels are modes."""
    return _drawn("grid", grid_of_gaussians())


def _drawn(name: str, mixture: GaussianMixture) -> DatasetSplits:
    # Fixed, as the division of every built-in data set: a test set that moved could not be compared between runs.
    generator = torch.Generator().manual_seed(0)
    train, test = (Split(*mixture.sample_with_modes(count, generator=generator)) for count in (100_000, 10_000))
    return DatasetSplits(name, train, None, test)


def _positive(name: str, value: Tensor | Sequence[float] | float, count: int) -> Tensor:
    """value as float64 ``[count]``, positive and finite."""
    tensor = torch.as_tensor(value, dtype=torch.float64, device="cpu")
    if tensor.dim() == 0:
        tensor = tensor.expand(count)
    if tensor.shape != (count,):
        wanted = "one number" if count == 1 else f"one number or {count}"
        raise ValueError(f"{name}: expected {wanted}, got shape {list(tensor.shape)}")
    if not (tensor.isfinite() & (tensor > 0)).all():
        raise ValueError(f"{name}: expected positive finite numbers, got {value}")
    return tensor


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
