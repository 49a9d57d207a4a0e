"""Pictures of the ring of eight Gaussians, and of samples that should lie on it."""

from __future__ import annotations

from pathlib import Path

import torch

from deepgen_fast.data import ring_of_gaussians

SAMPLES = 2500  # as in the papers that count modes


def draw(made: dict[str, torch.Tensor], path: Path) -> None:
    """The data, and a square of points ``[N, 2]`` for each title."""
    from matplotlib.figure import Figure

    data = ring_of_gaussians().sample(SAMPLES, generator=torch.Generator().manual_seed(0))
    shown = {"data": data, **made}
    figure = Figure(figsize=(3.4 * len(shown), 3.5), layout="constrained")
    for axes, (title, points) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
        axes.scatter(*points.T, s=2, alpha=0.5)
        axes.set(title=title, xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal")
    figure.savefig(path, dpi=120)
