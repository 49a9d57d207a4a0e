"""A run's curves: losses, the balance of the players, and the diversity of what is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PANELS = (
    ("loss", {"discriminator_loss": "discriminator", "generator_loss": "generator"}, None),
    (
        "taken for real, D",
        {
            "discriminator_real": "D(x), real",
            "discriminator_fake": "D(G(z)), generated",
            "validation_discriminator_real": "D(x), held out",
        },
        (0.0, 1.0),
    ),
    (
        "right answers",
        {
            "discriminator_real_accuracy": "real",
            "discriminator_fake_accuracy": "generated",
            "validation_discriminator_real_accuracy": "held out",
        },
        (0.0, 1.0),
    ),
    ("diversity (real data: 1)", {"spread": "spread", "distinctness": "distinctness"}, None),
)


def draw_balance(records: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Write the four panels as one picture.

    Args:
        records: of epochs, as in ``metrics.jsonl``.
        path: of the PNG file; its folder is made.

    Raises:
        ImportError: when matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.0), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, curves, limits) in zip(figure.subplots(2, 2, sharex=True).flat, _PANELS, strict=True):
        for name, label in curves.items():
            points = [(record["epoch"], record[name]) for record in records if name in record]
            if points:
                # A single epoch would be no line.
                axes.plot(*zip(*points, strict=True), label=label, linewidth=1.3, marker="o", markersize=2.5)
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.25, linewidth=0.5)
        if limits is not None:
            axes.set_ylim(limits[0] - 0.03, limits[1] + 0.03)
        if axes.lines:
            axes.legend(fontsize=8, frameon=False)
    for axes in figure.axes[2:]:
        axes.set_xlabel("epoch")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
