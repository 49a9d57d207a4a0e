"""`deepgen-fast sample`, `reconstruct` and `manifold`: pictures of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepgen_fast.cli.arguments import Checkpoint, Output, RunDirectory, Seed, SplitName
from deepgen_fast.cli.errors import UsageError
from deepgen_fast.cli.texts import show

Count = Annotated[int, typer.Option("--count", "-n", min=1, help="Number of examples.")]
Pixels = Annotated[
    str,
    typer.Option(
        metavar="mean|draw",
        help="Of a VAE: the mean E[x|z] (of sentences the likeliest words), or a noisy draw x ~ p(x|z).",
    ),
]
Label = Annotated[int | None, typer.Option(min=0, help="Class (or categorical code) to sample; each in turn if unset.")]


def sample(
    run: RunDirectory,
    count: Count = 100,
    out: Output = None,
    pixels: Pixels = "mean",
    label: Label = None,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
) -> None:
    """Draw new examples, z from the prior and x from p(x|z) or x = G(z), and write them as a picture or as numbers.

    A name that ends in .npy gets the float32 array `[count, *event]` instead of a picture: the way for data
    that are no images. Sentences are printed, one a line, or written to the file.

    Examples:

        deepgen-fast sample runs/digits

        deepgen-fast sample runs/digits -n 25 --seed 1 -o digits.png

        deepgen-fast sample runs/digits -n 10000 -o digits.npy

        deepgen-fast sample runs/cgan --label 7
    """
    if pixels not in ("mean", "draw"):
        raise UsageError(f"--pixels: expected mean or draw, got {pixels!r}")
    from deepgen_fast import runs

    opened, draw = runs.open(run, checkpoint), pixels == "draw"
    if draw and opened.kind != "vae":
        raise UsageError(f"--pixels: a {opened.config.system} has no p(x|z) to draw from")
    if opened.of_sentences:
        return show("\n".join(opened.sample(count, seed=seed, label=label, draw=draw)), out)
    if out is not None and out.suffix == ".npy":
        import numpy as np

        values = opened.sample(count, seed=seed, label=label, draw=draw)
        assert not isinstance(values, list)
        out.parent.mkdir(parents=True, exist_ok=True)
        np.save(out, values.numpy())
        print(out)
    else:
        print(opened.draw_samples(out, count=count, seed=seed, label=label, draw=draw))


def reconstruct(
    run: RunDirectory, count: Count = 40, split: SplitName = "test", out: Output = None, checkpoint: Checkpoint = "best"
) -> None:
    """Picture examples of a split above what the model makes of them: E[x|z] at z = E[z|x]; print pairs of sentences.

    Examples:

        deepgen-fast reconstruct runs/digits

        deepgen-fast reconstruct runs/digits --split train -n 20 -o train.png
    """
    from deepgen_fast import runs

    opened = runs.open(run, checkpoint)
    if opened.of_sentences:
        return show(opened.model.vocabulary.pairs(*opened.reconstruct(count, split=split)), out)
    print(opened.draw_reconstructions(out, count=count, split=split))


Dims = Annotated[
    str | None,
    typer.Option(
        metavar="I,J",
        help="The two latents of the plane, counted from 1. If unset: both of a 2-D model; for more, the "
        "plane of the "
        "two principal components of E[z|x].",
    ),
]
Side = Annotated[int, typer.Option(min=2, help="Images along each side of the decoded manifold.")]


def manifold(
    run: RunDirectory,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for both pictures; RUN/figures if unset.")
    ] = None,
    split: SplitName = "train",
    dims: Dims = None,
    side: Side = 20,
    checkpoint: Checkpoint = "best",
) -> None:
    """Picture the latent space (Figure 13.5): (a) where examples lie, (b) what each place decodes to.

    (a) E[z|x] of a split, colored by class. (b) decoded images over a grid of the unit square, taken to z
    through the normal quantile function, so that equal areas are equally probable under the prior. (b)
    exists for 2-D
    latents only: train with `--latent-dim 2` for it. A model with classes has one of each.

    Examples:

        deepgen-fast train vae --latent-dim 2 --out runs/plane

        deepgen-fast manifold runs/plane

        deepgen-fast manifold runs/digits --dims 3,7
    """
    from deepgen_fast import runs

    opened = runs.open(run, checkpoint)
    opened.check_encoder()
    folder = out or opened.figures
    latent_dim = opened.model.latent_dim
    chosen = _parse_dims(dims, latent_dim)
    if latent_dim < 2:
        raise UsageError(f"{run}: its latent space has {latent_dim} dimension; the plane needs 2 or more")
    print(opened.draw_latent_plane(folder / "latent_plane.png", split=split, dims=chosen))
    if latent_dim == 2 and not opened.of_sentences:
        if opened.model.takes_labels:
            for label in range(opened.model.num_classes):
                print(opened.draw_manifold(folder / f"manifold-{label}.png", side=side, label=label))
        else:
            print(opened.draw_manifold(folder / "manifold.png", side=side))
    else:
        why = "makes sentences" if opened.of_sentences else f"has {latent_dim}"
        typer.echo(
            f"(b) is left out: it decodes a square of 2-D latents to images, and this model {why}. "
            "Train one of images with --latent-dim 2 for it.",
            err=True,
        )


def _parse_dims(text: str | None, latent_dim: int) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        first, second = (int(part) - 1 for part in text.split(","))
    except ValueError:
        raise UsageError(f"--dims: expected two numbers such as 1,2, got {text!r}") from None
    if first == second or not all(0 <= dim < latent_dim for dim in (first, second)):
        raise UsageError(f"--dims: expected two different latents from 1 to {latent_dim}, got {text!r}")
    return first, second
