"""The pictures: image grids, reconstructions, the latent plane and the decoded manifold (Figure 13.5).

Drawn by matplotlib on its Agg canvas, without pyplot, so that no display and no global state is involved.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

DPI = 160
_GAP = 2  # pixels between the images of a grid


def as_images(values: Tensor, event_shape: Sequence[int]) -> Tensor:
    """Bring `[N, *event]` to `[N, H, W]` (gray) or `[N, H, W, 3]`, clamped to [0, 1], on the CPU in
    float32.

    Args:
        values: pixel values `[N, *event]`, or flattened `[N, D]`.
        event_shape: (H, W), (C, H, W) with C 1 or 3, or (D,) with D a square number.

    Raises:
        ValueError: the event is no image.
    """
    shape = tuple(event_shape)
    if len(shape) == 1 and round(shape[0] ** 0.5) ** 2 == shape[0]:
        shape = (round(shape[0] ** 0.5),) * 2
    values = values.detach().float().clamp(0, 1).cpu()
    if len(shape) == 2:
        return values.reshape(-1, *shape)
    if len(shape) == 3 and shape[0] == 1:
        return values.reshape(-1, *shape[1:])
    if len(shape) == 3 and shape[0] == 3:
        return values.reshape(-1, *shape).permute(0, 2, 3, 1)
    raise ValueError(
        f"event_shape: expected an image, (H, W), (1, H, W), (3, H, W) or a square number of pixels, got {shape}"
    )


def tile(images: Tensor, columns: int, gap: int = _GAP, background: float = 1.0) -> Tensor:
    """Lay images `[N, H, W(, 3)]` out in rows of columns, as one picture."""
    count, height, width, *channels = images.shape
    rows = -(-count // columns)
    sheet = torch.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, *channels), background, dtype=images.dtype
    )
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.08)
    return path


def _show(axes: Any, sheet: Tensor, **options: Any) -> None:
    axes.imshow(sheet.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="auto", **options)


def image_grid(images: Tensor, path: Path, *, title: str, columns: int = 10) -> Path:
    """Write images `[N, H, W(, 3)]` as one grid with a title."""
    columns = min(columns, images.shape[0])
    sheet = tile(images, columns)
    width = 6.0
    figure = _figure(width, width * sheet.shape[0] / sheet.shape[1] + 0.4)
    axes = figure.add_subplot()
    _show(axes, sheet)
    axes.set_axis_off()
    axes.set_title(title, fontsize=11)
    return _save(figure, path)


def reconstruction_grid(
    originals: Tensor, reconstructions: Tensor, path: Path, *, title: str, columns: int = 10
) -> Path:
    """Write originals `[N, H, W(, 3)]` above their reconstructions, columns examples to a pair of rows."""
    columns = min(columns, originals.shape[0])
    width, height = originals.shape[2], originals.shape[1]
    pairs = -(-originals.shape[0] // columns)
    figure = _figure(6.4, 6.0 * pairs * (2 * height + _GAP) / (columns * (width + _GAP)) + 0.1 * pairs + 0.4)
    figure.suptitle(title, fontsize=11)
    for index, panel in enumerate(figure.subplots(pairs, 1, squeeze=False)[:, 0]):
        part = slice(index * columns, (index + 1) * columns)
        top, bottom = originals[part], reconstructions[part]
        blank = torch.ones(columns - top.shape[0], *top.shape[1:])
        _show(panel, tile(torch.cat((top, blank, bottom, blank)), columns))
        panel.set_yticks([height / 2, height * 1.5 + _GAP], ["data", "model"], fontsize=7)
        panel.set_xticks([])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    return _save(figure, path)


def latent_plane(points: Tensor, labels: Tensor | None, path: Path, *, title: str, axis_names: tuple[str, str]) -> Path:
    """Write points `[N, 2]` of the latent space, colored by labels `[N]` with a legend (Figure 13.5 a)."""
    figure = _figure(6.4, 5.6)
    axes = figure.add_subplot()
    points = points.detach().float().cpu()
    # Marks that shrink with their number: 5,000 stay apart, 50 stay visible.
    size = float(min(30.0, max(2.0, 30_000 / points.shape[0])))
    options: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.75}
    if labels is None:
        axes.scatter(points[:, 0], points[:, 1], color="tab:blue", **options)
    else:
        classes, ranks = labels.cpu().unique(return_inverse=True)
        palette = matplotlib.color_sequences["tab10" if len(classes) <= 10 else "tab20"]
        colors = [palette[rank % len(palette)] for rank in range(len(classes))]
        # Drawn in one call and in shuffled order, so that no class covers another only for coming later.
        order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
        axes.scatter(points[order, 0], points[order, 1], c=[colors[rank] for rank in ranks[order].tolist()], **options)
        if len(classes) <= len(palette):
            _legend(figure, axes, colors, [str(name) for name in classes.tolist()])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize=11)
    return _save(figure, path)


def _legend(figure: Figure, axes: Any, colors: Sequence[Any], names: Sequence[str]) -> None:
    handles = [axes.scatter([], [], s=40, color=color, label=name) for color, name in zip(colors, names, strict=True)]
    title = "digit" if list(names) == [str(digit) for digit in range(10)] else "class"
    figure.legend(handles=handles, loc="outside right center", title=title, frameon=False)


def unit_square_latents(side: int) -> Tensor:
    """Latents `[side * side, 2]` at the centers of a side x side grid of the unit square.

    Through the normal quantile function (inverse CDF), so that equal areas have equal prior probability.
    The first latent grows to the right, the second upwards; rows come from the top, as images are drawn.
    """
    centers = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    quantiles = torch.special.ndtri(centers).float()
    second, first = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    return torch.stack((first, second), dim=-1).reshape(-1, 2)


def manifold(images: Tensor, side: int, path: Path, *, title: str) -> Path:
    """Write images `[side * side, H, W(, 3)]`, decoded unit_square_latents, as one (Figure 13.5 b)."""
    figure = _figure(6.4, 6.8)
    axes = figure.add_subplot()
    _show(axes, tile(images, side, gap=0), extent=(0, 1, 0, 1))
    axes.set_xlabel("$\\Phi(z_1)$")
    axes.set_ylabel("$\\Phi(z_2)$")
    axes.set_title(title, fontsize=11)
    return _save(figure, path)
