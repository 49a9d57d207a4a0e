"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunDirectory = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", exists=True, file_okay=False, help="Run directory that `train` or `quickstart` wrote."
    ),
]
SplitName = Annotated[str, typer.Option("--split", metavar="train|validation|test", help="Split of the run's data.")]
Checkpoint = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        metavar="best|last|DIR",
        help="Which weights: those of the best validation loss, the last, or a checkpoint directory. "
        "Averaged "
        "weights (EMA) are taken where the run keeps them.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Random seed: the same seed gives the same result.")]
Output = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Output file.", show_default="RUN/figures/...")
]
