"""Mode collapse on mixtures of Gaussians: how many modes a model's samples reach, and how well they hit them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from deepgen_fast.data.mixtures import GaussianMixture
from deepgen_fast.metrics.classes import class_divergence
from deepgen_fast.metrics.evaluation import check_positive
from deepgen_fast.metrics.features import check_features


class ModeCoverage(NamedTuple):
    """What `modes_found` tells.

    Attributes:
        num_found: modes with at least min_samples high-quality samples.
        num_modes: modes of the mixture.
        high_quality_fraction: high-quality samples among all samples.
        counts: int64 `[num_modes]`, high-quality samples of each mode.
        divergence: KL of the high-quality samples' proportions over the modes from the mixture's weights, nats;
            infinite when there is no such sample.
    """

    num_found: int
    num_modes: int
    high_quality_fraction: float
    counts: Tensor
    divergence: float


def modes_found(
    samples: Tensor, mixture: GaussianMixture, *, num_std: float = 3.0, min_samples: int = 1
) -> ModeCoverage:
    """Count the modes that samples reach (Srivastava et al. 2017, VEEGAN, section 4.1; Lin et al. 2018, PacGAN).

    A sample is of high quality when it lies within three standard deviations of its nearest mode; a mode is found when
    it is the nearest of at least one high-quality sample. Of the mixture's own samples in two dimensions,
    1 - exp(-9/2) = 98.9 % are of high quality. The papers draw 2,500 samples: numbers of found modes compare only at
    one number of samples.

    Args:
        samples: `[N, d]`, drawn from a model.
        mixture: what the model was trained on, `ring_of_gaussians()` or `grid_of_gaussians()` in the papers.
        num_std: radius of high quality in standard deviations of the mode; 3 in the papers for two dimensions.
        min_samples: high-quality samples that make a mode found; 1 in the papers.

    Raises:
        ValueError: no sample, samples of another width than the mixture's, NaN or infinity, num_std not positive, or
            min_samples below 1.
    """
    if not num_std > 0:
        raise ValueError(f"num_std: expected a positive number, got {num_std}")
    check_positive("min_samples", min_samples)
    points = check_features("samples", samples, at_least=1)
    if points.shape[1] != mixture.dim:
        raise ValueError(f"samples: expected points of {mixture.dim} coordinates, got {points.shape[1]}")
    mode, distance = mixture.nearest_mode(points)
    good = mode[distance <= num_std].cpu()
    counts = good.bincount(minlength=mixture.num_modes)
    return ModeCoverage(
        num_found=int((counts >= min_samples).sum()),
        num_modes=mixture.num_modes,
        high_quality_fraction=len(good) / len(points),
        counts=counts,
        divergence=class_divergence(counts, mixture.weights) if len(good) else float("inf"),
    )
