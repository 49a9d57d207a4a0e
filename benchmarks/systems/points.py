"""Pictures of points in the plane."""

from __future__ import annotations

from pathlib import Path

import torch


def draw_points(shown: dict[str, torch.Tensor], path: Path) -> None:
    """A square of points ``[N, 2]`` for each title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(shown), 3.5), layout="constrained")
    for axes, (title, points) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
        axes.scatter(*points.T, s=2, alpha=0.5)
        axes.set(title=title, xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal")
    figure.savefig(path, dpi=120)
