"""`deepgen-fast sample`, `reconstruct` and `manifold`: pictures of a trained model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepgen_fast.cli import sentences
from deepgen_fast.cli.arguments import Checkpoint, Output, RunDirectory, Seed, SplitName
from deepgen_fast.cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from deepgen_fast.cli.runs import Run
    from deepgen_fast.random import BatchNoise

_BATCH_SIZE = 512  # examples a decoder pass

Count = Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")]
Pixels = Annotated[
    str,
    typer.Option(
        metavar="mean|draw",
        help="Of a VAE. mean: E[x|z], the usual picture, or the likeliest word each time. draw: x ~ p(x|z), noisy.",
    ),
]
Label = Annotated[
    int | None,
    typer.Option(min=0, help="Of a system with classes (or a categorical code): draw this one, not each in turn."),
]


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
    from deepgen_fast.cli.runs import open_run

    opened = open_run(run, checkpoint)
    if opened.kind != "vae" and pixels != "mean":
        raise UsageError(f"--pixels: a {opened.config.system} has no p(x|z) to draw from")
    if label is not None:
        if getattr(opened.model, "cycle", None) is None:
            raise UsageError(f"--label: a {opened.config.system} has no classes to choose from")
        if label >= opened.model.num_classes:
            raise UsageError(f"--label: expected 0 to {opened.model.num_classes - 1}, got {label}")
    if opened.of_sentences:
        return sentences.show(sentences.sampled(opened, count, seed, pixels), out)
    path = out or opened.figures / "samples.png"
    if path.suffix == ".npy":
        import numpy as np

        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, draw_values(opened, count, seed, pixels, label).numpy())
        print(path)
    else:
        print(draw_samples(opened, count, seed, path, pixels, label))


def draw_values(run: Run, count: int, seed: int, pixels: str = "mean", label: int | None = None) -> Tensor:
    """New examples `[count, *event]`, all of one class if given: means or draws of x ~ p(x|z), or G(z)."""
    import torch

    from deepgen_fast.random import BatchNoise

    generator = torch.Generator().manual_seed(seed)
    latent = latents_of(run, count, BatchNoise(generator))
    if label is not None:
        latent = run.model.condition(latent, label)
    if pixels == "mean":
        return decoded(run, latent)
    with torch.no_grad():
        outputs = [run.model.decode(part) for part in _chunks(latent)]
        return torch.cat([run.model.likelihood.sample(output, generator) for output in outputs])


def latents_of(run: Run, count: int, noise: BatchNoise) -> Any:
    """Draws of a model's prior; of a GAN that is conditioned on real examples, beside those of the test split.

    Raises:
        UsageError: the split has fewer.
    """
    if run.kind != "gan" or not run.model.conditioned:
        return run.model.draw_latent(count, noise)
    from deepgen_fast.cli.runs import some_examples

    real = some_examples(run, "test", count)
    if len(real) < count:
        raise UsageError(
            f"--count: {count} samples of this model are conditioned on as many test examples, of which there are "
            f"{len(real)}"
        )
    return run.model.draw_beside(real, noise)


def decoded(run: Run, z: Any) -> Tensor:
    """Examples `[n, *event]` of latents `[n, latent_dim]` (of some a tuple with more): E[x|z], or G(z) as data."""
    import torch

    model = run.model
    with torch.no_grad():
        parts = [model.decode(part) for part in _chunks(z)]
        return torch.cat(parts if run.kind == "gan" else [model.likelihood.mean(part) for part in parts])


def _chunks(z: Any) -> Iterable[Any]:
    return zip(*(part.split(_BATCH_SIZE) for part in z), strict=True) if isinstance(z, tuple) else z.split(_BATCH_SIZE)


def prior_of(run: Run) -> str:
    """The prior of z, as a title says it."""
    return "z ~ U(-1, 1)" if getattr(run.model, "prior", "normal") == "uniform" else "z ~ N(0, I)"


def draw_samples(run: Run, count: int, seed: int, path: Path, pixels: str = "mean", label: int | None = None) -> Path:
    """Write a grid of new examples, with a column for each class where there are several."""
    from deepgen_fast.cli import figures

    values = draw_values(run, count, seed, pixels, label)
    images = figures.as_images(values, values.shape[1:])
    what = "x = G(z)" if run.kind == "gan" else "E[x|z]" if pixels == "mean" else "x ~ p(x|z)"
    cycle = getattr(run.model, "cycle", None) if label is None else None
    columns = cycle or min(20, max(1, round(count**0.5)))
    return figures.image_grid(images, path, title=f"Samples: {prior_of(run)}, {what}", columns=columns)


def reconstruct(
    run: RunDirectory, count: Count = 40, split: SplitName = "test", out: Output = None, checkpoint: Checkpoint = "best"
) -> None:
    """Picture examples of a split above what the model makes of them: E[x|z] at z = E[z|x]; print pairs of sentences.

    Examples:

        deepgen-fast reconstruct runs/digits

        deepgen-fast reconstruct runs/digits --split train -n 20 -o train.png
    """
    from deepgen_fast.cli.runs import open_run

    opened = open_run(run, checkpoint, encoding=True)
    if opened.of_sentences:
        return sentences.show(sentences.reconstructed(opened, split, count), out)
    print(draw_reconstructions(opened, split, count, out or opened.figures / f"reconstructions-{split}.png"))


def draw_reconstructions(run: Run, split: str, count: int, path: Path) -> Path:
    """Write examples of a split above their reconstructions."""
    from deepgen_fast.cli import figures
    from deepgen_fast.cli.runs import some_examples
    from deepgen_fast.example import event_of

    x = some_examples(run, split, count)
    shape = run.model.event_shape
    return figures.reconstruction_grid(
        figures.as_images(event_of(x), shape),
        figures.as_images(run.model.reconstruct(x), shape),
        path,
        title=f"Examples of the {split} split above their reconstructions, E[x|z] at z = E[z|x]",
    )


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

    (a) E[z|x] of a split, coloured by class. (b) decoded images over a grid of the unit square, taken to z
    through the normal quantile function, so that equal areas are equally probable under the prior. (b)
    exists for 2-D
    latents only: train with `--latent-dim 2` for it. A model with classes has one of each.

    Examples:

        deepgen-fast train vae --latent-dim 2 --out runs/plane

        deepgen-fast manifold runs/plane

        deepgen-fast manifold runs/digits --dims 3,7
    """
    from deepgen_fast.cli.runs import open_run
    from deepgen_fast.metrics.evaluation import takes_labels

    opened = open_run(run, checkpoint, encoding=True)
    folder = out or opened.figures
    latent_dim = opened.model.latent_dim
    chosen = _parse_dims(dims, latent_dim)
    if latent_dim < 2:
        raise UsageError(f"{run}: its latent space has {latent_dim} dimension; the plane needs 2 or more")
    print(draw_plane(opened, split, chosen, folder / "latent_plane.png"))
    if latent_dim == 2 and not opened.of_sentences:
        if takes_labels(opened.model):
            for label in range(opened.model.num_classes):
                print(draw_manifold(opened, side, folder / f"manifold-{label}.png", label))
        else:
            print(draw_manifold(opened, side, folder / "manifold.png"))
    else:
        why = "makes sentences" if opened.of_sentences else f"has {latent_dim}"
        typer.echo(
            f"(b) is left out: it decodes a square of 2-D latents to images, and this model {why}. "
            "Train one of images with --latent-dim 2 for it.",
            err=True,
        )


def draw_plane(run: Run, split: str, dims: tuple[int, int] | None, path: Path) -> Path:
    """Write Figure 13.5 (a): E[z|x] of a split, coloured by class."""
    from deepgen_fast.cli import figures
    from deepgen_fast.cli.runs import split_examples, split_named
    from deepgen_fast.metrics import latent_means

    means = latent_means(run.model, split_examples(run, split))
    points, names = project(means, dims)
    labels = split_named(run.data, split).labels
    title = f"E[z|x] of the {split} split, {len(points)} examples"
    return figures.latent_plane(points, labels, path, title=title, axis_names=names)


def draw_manifold(run: Run, side: int, path: Path, label: int | None = None) -> Path:
    """Write Figure 13.5 (b): the decoded manifold of a model with 2-D latents; of one with classes, that of a class."""
    import torch

    from deepgen_fast.cli import figures

    z = figures.unit_square_latents(side)
    latent = z if label is None else (z, torch.full((len(z),), label))
    images = figures.as_images(decoded(run, latent), run.model.event_shape)
    mean = "E[x|z]" if label is None else f"E[x|z, y={label}]"
    return figures.manifold(images, side, path, title=f"Decoded manifold, {mean} over the prior's unit square")


def project(means: Tensor, dims: tuple[int, int] | None) -> tuple[Tensor, tuple[str, str]]:
    """Points `[N, 2]` of `means [N, latent_dim]` and the names of their axes.

    dims are counted from 0. Without them: the latents themselves where there are two, else the plane of the
    two leading principal components.
    """
    import torch

    if dims is None and means.shape[1] == 2:
        dims = (0, 1)
    if dims is not None:
        return means[:, list(dims)], (f"$z_{{{dims[0] + 1}}}$", f"$z_{{{dims[1] + 1}}}$")
    centred = (means - means.mean(0)).double()
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    share = values.square() / values.square().sum()
    first, second = (f"principal component {i + 1} ({100 * share[i]:.0f} % of variance)" for i in range(2))
    return (centred @ directions[:2].T).float(), (first, second)


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
