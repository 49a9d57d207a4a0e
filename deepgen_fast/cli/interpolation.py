"""`deepgen-fast interpolate`: what lies between two examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepgen_fast.cli import sentences
from deepgen_fast.cli.arguments import Checkpoint, Output, RunDirectory, Seed
from deepgen_fast.cli.errors import UsageError

if TYPE_CHECKING:
    from deepgen_fast.cli.runs import Run

Rows = Annotated[int, typer.Option("--rows", min=1, help="Paths, one a row.")]
Steps = Annotated[int, typer.Option("--steps", min=2, help="Examples on a path, its ends among them.")]


def interpolate(
    run: RunDirectory,
    rows: Rows = 8,
    steps: Steps = 10,
    between: Annotated[
        str,
        typer.Option(
            metavar="samples|examples",
            help="What the ends of a path are: draws of the prior, or (of a VAE) the codes E[z|x] of test examples.",
        ),
    ] = "samples",
    out: Output = None,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
) -> None:
    """Picture what lies between two examples: a row for each path through the latent space.

    Paths follow great circles where the prior is normal, straight lines where it is uniform: so they stay where the
    prior has its mass. A model that has learned the data by heart jumps from one example to another. Where a latent has
    a class or a categorical code, each row keeps one. Between sentences paths are straight, and printed: a line a step.

    Examples:

        deepgen-fast interpolate runs/digits

        deepgen-fast interpolate runs/digits --between examples --rows 4 --steps 16

        deepgen-fast interpolate runs/faces --seed 3 -o paths.png
    """
    if between not in ("samples", "examples"):
        raise UsageError(f"--between: expected samples or examples, got {between!r}")
    from deepgen_fast.cli.runs import open_run

    opened = open_run(run, checkpoint, encoding=between == "examples")
    if opened.of_sentences:
        latents = latent_paths(opened, rows, steps, seed, between, spherical=False)
        return sentences.show(sentences.homotopies(opened, latents, steps), out)
    print(draw_paths(opened, rows, steps, seed, out or opened.figures / "interpolation.png", between))


def draw_paths(run: Run, rows: int, steps: int, seed: int, path: Path, between: str = "samples") -> Path:
    """Write a grid of paths between pairs of latents."""
    from deepgen_fast.cli import figures
    from deepgen_fast.cli.pictures import decoded, prior_of

    normal = getattr(run.model, "prior", "normal") == "normal"
    latents = latent_paths(run, rows, steps, seed, between, spherical=normal)
    images = figures.as_images(decoded(run, latents), run.model.event_shape)
    ends_are = prior_of(run) if between == "samples" else "E[z|x] of test examples"
    lines = "great circles" if normal else "straight lines"
    return figures.image_grid(images, path, title=f"Between two latents, {ends_are}, along {lines}", columns=steps)


def latent_paths(run: Run, rows: int, steps: int, seed: int, between: str, *, spherical: bool) -> Any:
    """Latents ``[rows * steps, ...]`` as the model decodes them, path by path.

    Raises:
        UsageError: when the test split has fewer examples than the paths have ends.
    """
    import torch

    from deepgen_fast.cli.runs import some_examples
    from deepgen_fast.example import rows_of
    from deepgen_fast.models import latent_path
    from deepgen_fast.random import BatchNoise

    model = run.model
    if between == "examples":
        with torch.no_grad():
            x = some_examples(run, "test", 2 * rows)
            mean = model.encode(x).mean
        if len(mean) < 2 * rows:
            raise UsageError(f"--rows: {rows} paths have {2 * rows} ends, but the test split has {len(mean)} examples")
        ends = model.latent_of(mean, x)
    else:
        ends = model.draw_latent(2 * rows, BatchNoise(torch.Generator().manual_seed(seed)))

    # Far apart in the split, so of different classes where the data are sorted.
    course = latent_path(rows_of(ends, slice(rows)), rows_of(ends, slice(rows, None)), steps, spherical=spherical)
    single = isinstance(course, torch.Tensor)
    return course.flatten(0, 1) if single else tuple(tensor.flatten(0, 1) for tensor in course)
