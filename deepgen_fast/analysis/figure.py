"""The figure of section 13.3.4: a discriminator on its way to D*, and the JS estimate on its way to JS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deepgen_fast.analysis.optimal_discriminator import js_from_minimax_value, optimal_discriminator
from deepgen_fast.analysis.quadrature import exact_minimax_value, js_divergence
from deepgen_fast.data.mixtures import GaussianMixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Updates at which a curve is drawn by default: each some three times the last.
CURVES = (0, 10, 30, 100, 300, 1500)


@dataclass
class DiscriminatorTrace:
    """What a discriminator on the line looks like through its training; pass `record` as `on_step`.

    Args:
        p_data, p_model: mixtures with d = 1.
        curves: numbers of updates after which D(x) is kept.

    Attributes:
        x: float64 `[n]`, where D is kept: four standard deviations around every component.
        discriminators: D(x) `[n]`, by number of updates.
        js: the JS that the minimax value gives, by number of updates: by quadrature, so the samples that
            `estimate_js_divergence` draws for its estimate do not blur it.
    """

    p_data: GaussianMixture
    p_model: GaussianMixture
    curves: Sequence[int] = CURVES
    x: Tensor = field(init=False)
    discriminators: dict[int, Tensor] = field(default_factory=dict, init=False)
    js: dict[int, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        bounds = [density.bounds(4.0) for density in (self.p_data, self.p_model)]
        low, high = min(low.item() for low, _ in bounds), max(high.item() for _, high in bounds)
        self.x = torch.linspace(low, high, 801, dtype=torch.float64)

    def record(self, step: int, discriminator: nn.Module) -> None:
        """Keep D(x) at the chosen numbers of updates, and JS at those and at some hundred between."""

        def logit(x: Tensor) -> Tensor:
            return discriminator(x.float())  # as the samples that it was trained on

        if step in self.curves:
            with torch.no_grad():
                self.discriminators[step] = logit(self.x.unsqueeze(1)).flatten().double().sigmoid()
        # Evenly on the logarithmic axis of the figure: every step up to 20, every 5 % later.
        last = max(self.js, default=-1)
        if step in self.curves or step <= 20 or step >= 1.05 * last:
            value = exact_minimax_value(self.p_data, self.p_model, logit, tolerance=1e-6)
            self.js[step] = js_from_minimax_value(value)


def draw_discriminator_trace(trace: DiscriminatorTrace, path: str | Path) -> Path:
    """Write the figure: D after some updates with D* (left), and JS by number of updates with the true one (right).

    Args:
        trace: recorded by `estimate_js_divergence(..., on_step=trace.record)`.
        path: of the picture; its ending is the format.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: nothing was recorded.
    """
    if not trace.discriminators:
        raise ValueError("trace: nothing was recorded; pass on_step=trace.record to estimate_js_divergence")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("the figure needs the package matplotlib: pip install matplotlib") from error
    # On its own canvas, without pyplot: no display and no global state.
    figure = Figure(figsize=(11.0, 4.2), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_curves(left, trace)
    _draw_divergence(right, trace)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _draw_curves(axes: Axes, trace: DiscriminatorTrace) -> None:
    import matplotlib

    x, points = trace.x.numpy(), trace.x.unsqueeze(1)
    log_data, log_model = trace.p_data.log_prob(points), trace.p_model.log_prob(points)
    # Both densities to one scale, the highest peak at 0.9: their ratio is what D* shows.
    scale = 0.9 / torch.maximum(log_data, log_model).exp().max()
    for log_density, color, name in ((log_data, "tab:blue", "data"), (log_model, "tab:orange", "model")):
        density = (scale * log_density.exp()).numpy()
        axes.fill_between(x, density, color=color, alpha=0.22, linewidth=0, label=f"$p_{{{name}}}$ (scaled)")
    colors = matplotlib.colormaps["viridis_r"].resampled(len(trace.discriminators) + 1)
    for index, (step, values) in enumerate(sorted(trace.discriminators.items())):
        axes.plot(x, values.numpy(), color=colors(index + 1), linewidth=1.6, label=f"D after {step:,} updates")
    optimum = optimal_discriminator(log_data, log_model)
    axes.plot(x, optimum.numpy(), color="black", linewidth=1.6, linestyle=(0, (4, 3)), label="D* (13.36)")
    axes.set(xlim=(x[0], x[-1]), ylim=(-0.02, 1.02), xlabel="x", ylabel="D(x)", title="The discriminator")
    axes.legend(fontsize=7.5, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    axes.grid(alpha=0.25, linewidth=0.5)


def _draw_divergence(axes: Axes, trace: DiscriminatorTrace) -> None:
    truth = js_divergence(trace.p_data, trace.p_model)
    steps = sorted(trace.js)
    axes.plot(steps, [trace.js[step] for step in steps], color="tab:green", linewidth=1.6, label="V(D)/2 + log 2")
    axes.axhline(truth, color="black", linewidth=1.4, linestyle=(0, (4, 3)), label=f"JS = {truth:.4f} nats")
    axes.axhspan(truth - 0.02, truth + 0.02, color="black", alpha=0.1, linewidth=0, label="within 0.02 nats")
    # Linear up to one update, so that the untrained discriminator has a place.
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlim=(0, max(steps)), xlabel="updates of D", ylabel="nats", title="The JS it tells (13.40)")
    # From the start of training, but not so far down that the band cannot be seen.
    axes.set_ylim(max(min(-0.05, *trace.js.values()) - 0.03, truth - 1), truth + 0.08)
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(alpha=0.25, linewidth=0.5)
