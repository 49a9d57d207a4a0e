"""The minimax value and the Jensen-Shannon divergence of densities on the line, by integration instead of samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from deepgen_fast.analysis.optimal_discriminator import js_from_minimax_value, optimal_logit
from deepgen_fast.data.mixtures import GaussianMixture

# A Gaussian has 1e-32 of its mass beyond.
_REACH = 12.0
_MOST_POINTS = 1 << 22


def exact_minimax_value(
    p_data: GaussianMixture, p_model: GaussianMixture, logit: Callable[[Tensor], Tensor], *, tolerance: float = 1e-9
) -> float:
    """V(D) = integral of p_data(x) log D(x) + p_model(x) log(1 - D(x)) (13.35), for any discriminator on the line.

    The trapezoidal rule over all but 1e-32 of the mass, halving the steps until the value stands still. For smooth
    functions that vanish at both ends its error falls exponentially (Trefethen and Weideman 2014).

    Args:
        p_data, p_model: mixtures with d = 1.
        logit: logit D(x), x float64 `[n, 1]` to `[n]` or `[n, 1]`, of any floating-point dtype.
        tolerance: change, in nats, under which the value stands still.

    Raises:
        ValueError: densities that are not on the line, a logit of another shape, components that are too narrow for
            the distance between them, or no convergence within four million points, as of a logit that jumps.
    """
    for name, density in (("p_data", p_data), ("p_model", p_model)):
        if density.dim != 1:
            raise ValueError(f"{name}: expected a density on the line, d = 1, got d = {density.dim}")
    bounds = [density.bounds(_REACH) for density in (p_data, p_model)]
    low, high = min(low.item() for low, _ in bounds), max(high.item() for _, high in bounds)
    narrowest = min(density.std.min().item() for density in (p_data, p_model))
    # Fewer than two points a standard deviation could miss a component twice in a row, and look converged.
    intervals = 1 << max(8, math.ceil(math.log2(2 * (high - low) / narrowest)))
    if intervals > _MOST_POINTS:
        raise ValueError(
            f"p_data, p_model: components too narrow for the distance between them: {low:g} to {high:g} at a standard "
            f"deviation of {narrowest:g} takes more than {_MOST_POINTS} points"
        )

    def integrand(x: Tensor) -> Tensor:
        x = x.unsqueeze(1)
        with torch.no_grad():
            score = logit(x)
        if score.numel() != x.shape[0]:
            raise ValueError(f"logit: expected {x.shape[0]} numbers for as many points, got {list(score.shape)}")
        score = score.double().flatten()
        real, fake = p_data.log_prob(x).exp(), p_model.log_prob(x).exp()
        return real * F.logsigmoid(score) + fake * F.logsigmoid(-score)

    step = (high - low) / intervals
    value = step * integrand(torch.linspace(low, high, intervals + 1, dtype=torch.float64)).sum().item()
    while intervals <= _MOST_POINTS:
        # The new points lie between the old ones.
        between = low + step * (torch.arange(intervals, dtype=torch.float64) + 0.5)
        refined = 0.5 * (value + step * integrand(between).sum().item())
        if abs(refined - value) < tolerance:
            return refined
        value, intervals, step = refined, 2 * intervals, step / 2
    raise ValueError(f"logit: the integral does not converge to {tolerance} with {_MOST_POINTS} points")


def js_divergence(p_data: GaussianMixture, p_model: GaussianMixture, *, tolerance: float = 1e-9) -> float:
    """JS(p_data || p_model) on the line, in nats, from 0 to log 2: the minimax value at D*, by 13.40.

    The same as KL(p_data || m) / 2 + KL(p_model || m) / 2 with m the mean of the two densities.

    Args:
        p_data, p_model: mixtures with d = 1.
        tolerance: as for `exact_minimax_value`.

    Raises:
        ValueError: densities that are not on the line, or no convergence.
    """

    def optimum(x: Tensor) -> Tensor:
        return optimal_logit(p_data.log_prob(x), p_model.log_prob(x))

    return js_from_minimax_value(exact_minimax_value(p_data, p_model, optimum, tolerance=tolerance))
