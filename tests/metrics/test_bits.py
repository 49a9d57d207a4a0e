"""Bits per dimension of distributions whose code length is known."""

from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.metrics import bits_per_dimension


def test_uniform_binary_pixels_cost_one_bit() -> None:
    assert bits_per_dimension(784 * math.log(0.5), 784) == pytest.approx(1.0)


@pytest.mark.parametrize("bin_width", [1 / 256, 1 / 255, 2 / 256])
def test_uniform_density_over_256_levels_costs_eight_bits(bin_width: float) -> None:
    log_density = -3 * math.log(256 * bin_width)  # uniform over all 256 bins, three pixels
    assert bits_per_dimension(log_density, 3, bin_width=bin_width) == pytest.approx(8.0)


def test_matches_the_entropy_of_a_finely_quantized_gaussian() -> None:
    # Entropy of N(0, s^2) cut into bins of width w: log2(s sqrt(2 pi e)) - log2(w), as w -> 0.
    std, width = 0.1, 1 / 256
    edges = torch.arange(-400, 401, dtype=torch.float64) * width
    probabilities = torch.special.ndtr(edges / std).diff()
    entropy = -(probabilities * probabilities.clamp_min(1e-300).log2()).sum().item()
    mean_log_density = -0.5 - math.log(std * math.sqrt(2 * math.pi))
    assert bits_per_dimension(mean_log_density, 1, bin_width=width) == pytest.approx(entropy, abs=1e-3)


def test_tensor_in_tensor_out() -> None:
    log_likelihood = torch.tensor([-10.0, -20.0], dtype=torch.float64)
    result = bits_per_dimension(log_likelihood, 10)
    torch.testing.assert_close(result, torch.tensor([1.0, 2.0], dtype=torch.float64) / math.log(2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_dimensions": 0}, "num_dimensions: expected at least 1, got 0"),
        ({"bin_width": 0.0}, "bin_width: expected a positive finite number, got 0.0"),
        ({"bin_width": float("inf")}, "bin_width: expected a positive finite number, got inf"),
    ],
)
def test_bad_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bits_per_dimension(-1.0, **{"num_dimensions": 2, **arguments})
