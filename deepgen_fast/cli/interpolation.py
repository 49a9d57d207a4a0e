"""`deepgen-fast interpolate`: what lies between two examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deepgen_fast.cli.arguments import Checkpoint, Output, RunDirectory, Seed
from deepgen_fast.cli.texts import show

if TYPE_CHECKING:
    pass

Rows = Annotated[int, typer.Option("--rows", min=1, help="Number of paths, one per row.")]
Steps = Annotated[int, typer.Option("--steps", min=2, help="Number of examples on a path, including its ends.")]


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
    from deepgen_fast import runs

    opened = runs.open(run, checkpoint)
    if opened.of_sentences:
        found = opened.interpolate(rows, steps, seed=seed, between=between)
        return show("\n\n".join("\n".join(path) for path in found), out)
    print(opened.draw_interpolation(out, rows=rows, steps=steps, seed=seed, between=between))
