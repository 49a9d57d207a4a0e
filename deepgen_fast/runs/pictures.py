"""Pictures of what a run's model makes, written as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from deepgen_fast.example import event_of
from deepgen_fast.metrics import latent_means
from deepgen_fast.runs import figures
from deepgen_fast.runs.examples import some_examples, split_examples, split_named
from deepgen_fast.runs.latents import decoded, draw_values, latent_paths, prior_of, project

if TYPE_CHECKING:
    from deepgen_fast.runs.run import Run


def draw_samples(run: Run, count: int, seed: int, path: Path, draw: bool = False, label: int | None = None) -> Path:
    """Write a grid of new examples, with a column for each class where there are several."""
    values = draw_values(run, count, seed, draw, label)
    images = figures.as_images(values, values.shape[1:])
    what = "x = G(z)" if run.kind == "gan" else "x ~ p(x|z)" if draw else "E[x|z]"
    cycle = run.model.num_conditions if label is None else None
    columns = cycle or min(20, max(1, round(count**0.5)))
    return figures.image_grid(images, path, title=f"Samples: {prior_of(run)}, {what}", columns=columns)


def draw_reconstructions(run: Run, split: str, count: int, path: Path) -> Path:
    """Write examples of a split above their reconstructions."""
    x = some_examples(run, split, count)
    shape = run.model.event_shape
    return figures.reconstruction_grid(
        figures.as_images(event_of(x), shape),
        figures.as_images(run.model.reconstruct(x), shape),
        path,
        title=f"Examples of the {split} split above their reconstructions, E[x|z] at z = E[z|x]",
    )


def draw_paths(run: Run, rows: int, steps: int, seed: int, path: Path, between: str = "samples") -> Path:
    """Write a grid of paths between pairs of latents."""
    latents = latent_paths(run, rows, steps, seed, between, spherical=run.has_normal_prior)
    images = figures.as_images(decoded(run, latents), run.model.event_shape)
    ends_are = prior_of(run) if between == "samples" else "E[z|x] of test examples"
    lines = "great circles" if run.has_normal_prior else "straight lines"
    return figures.image_grid(images, path, title=f"Between two latents, {ends_are}, along {lines}", columns=steps)


def draw_plane(run: Run, split: str, dims: tuple[int, int] | None, path: Path) -> Path:
    """Write Figure 13.5 (a): E[z|x] of a split, colored by class."""
    means = latent_means(run.model, split_examples(run, split))
    points, names = project(means, dims)
    labels = split_named(run.data, split).labels
    title = f"E[z|x] of the {split} split, {len(points)} examples"
    return figures.latent_plane(points, labels, path, title=title, axis_names=names)


def draw_manifold(run: Run, side: int, path: Path, label: int | None = None) -> Path:
    """Write Figure 13.5 (b): the decoded manifold of a model with 2-D latents; of one with classes, that of a class."""
    z = figures.unit_square_latents(side)
    latent = z if label is None else (z, torch.full((len(z),), label))
    images = figures.as_images(decoded(run, latent), run.model.event_shape)
    mean = "E[x|z]" if label is None else f"E[x|z, y={label}]"
    return figures.manifold(images, side, path, title=f"Decoded manifold, {mean} over the prior's unit square")
