"""One picture: the speed-up of every case."""

from __future__ import annotations

from pathlib import Path

from benchmarks.results import OpResult


def plot_speedups(results: list[OpResult], path: Path) -> None:
    """Bars of forward + backward over the better of eager and torch.compile, with the targets as ticks."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    shown = [(result, speedup) for result in results if (speedup := result.speedup()) is not None]
    figure, axes = pyplot.subplots(figsize=(8, 0.32 * len(shown) + 1), layout="constrained")
    labels = [f"{r.op} {r.variant} {r.shape}".replace("  ", " ") for r, _ in shown]
    axes.barh(labels, [speedup for _, speedup in shown], color=["C0" if s >= 1 else "C3" for _, s in shown])
    axes.plot([r.target for r, _ in shown], labels, "k|", markersize=12, label="target")
    axes.axvline(1, color="0.3", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("times faster than the better of eager and torch.compile, forward + backward")
    axes.legend()
    figure.savefig(path)
    pyplot.close(figure)
