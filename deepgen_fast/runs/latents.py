"""Latents of a run's model, drawn, between examples and projected; and what they decode to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deepgen_fast.example import rows_of
from deepgen_fast.models import latent_path
from deepgen_fast.random import BatchNoise
from deepgen_fast.runs.errors import RunError
from deepgen_fast.runs.examples import some_examples

if TYPE_CHECKING:
    from deepgen_fast.runs.run import Run

_BATCH_SIZE = 512  # examples a decoder pass


def draw_values(run: Run, count: int, seed: int, draw: bool = False, label: int | None = None) -> Tensor:
    """New examples `[count, *event]`, all of one class if given: E[x|z], with ``draw`` x ~ p(x|z), or G(z)."""
    generator = torch.Generator().manual_seed(seed)
    latent = latents_of(run, count, BatchNoise(generator))
    if label is not None:
        latent = run.model.condition(latent, label)
    if not draw:
        return decoded(run, latent)
    with torch.no_grad():
        outputs = [run.model.decode(part) for part in _chunks(latent)]
        return torch.cat([run.model.likelihood.sample(output, generator) for output in outputs])


def latents_of(run: Run, count: int, noise: BatchNoise) -> Any:
    """Draws of a model's prior; of a GAN that is conditioned on real examples, beside those of the test split.

    Raises:
        RunError: the split has fewer.
    """
    if run.kind != "gan" or not run.model.conditioned:
        return run.model.draw_latent(count, noise)
    real = some_examples(run, "test", count)
    if len(real) < count:
        raise RunError(
            f"{count} samples of this model are conditioned on as many test examples, of which there are {len(real)}",
            "count",
        )
    return run.model.sample_latents_like(real, noise)


def decoded(run: Run, z: Any) -> Tensor:
    """Examples `[n, *event]` of latents `[n, latent_dim]` (of some a tuple with more): E[x|z], or G(z) as data."""
    model = run.model
    with torch.no_grad():
        parts = [model.decode(part) for part in _chunks(z)]
        return torch.cat(parts if run.kind == "gan" else [model.likelihood.mean(part) for part in parts])


def _chunks(z: Any) -> Iterable[Any]:
    return zip(*(part.split(_BATCH_SIZE) for part in z), strict=True) if isinstance(z, tuple) else z.split(_BATCH_SIZE)


def prior_of(run: Run) -> str:
    """The prior of z, as a title says it."""
    return "z ~ N(0, I)" if run.has_normal_prior else "z ~ U(-1, 1)"


def latent_paths(run: Run, rows: int, steps: int, seed: int, between: str, *, spherical: bool) -> Any:
    """Latents ``[rows * steps, ...]`` as the model decodes them, path by path.

    Raises:
        RunError: when the test split has fewer examples than the paths have ends.
    """
    model = run.model
    if between == "examples":
        with torch.no_grad():
            x = some_examples(run, "test", 2 * rows)
            mean = model.encode(x).mean
        if len(mean) < 2 * rows:
            raise RunError(f"{rows} paths have {2 * rows} ends, but the test split has {len(mean)} examples", "rows")
        ends = model.latent_of(mean, x)
    else:
        ends = model.draw_latent(2 * rows, BatchNoise(torch.Generator().manual_seed(seed)))

    # Far apart in the split, so of different classes where the data are sorted.
    course = latent_path(rows_of(ends, slice(rows)), rows_of(ends, slice(rows, None)), steps, spherical=spherical)
    single = isinstance(course, torch.Tensor)
    return course.flatten(0, 1) if single else tuple(tensor.flatten(0, 1) for tensor in course)


def project(means: Tensor, dims: tuple[int, int] | None) -> tuple[Tensor, tuple[str, str]]:
    """Points `[N, 2]` of `means [N, latent_dim]` and the names of their axes.

    dims are counted from 0. Without them: the latents themselves where there are two, else the plane of the
    two leading principal components.
    """
    if dims is None and means.shape[1] == 2:
        dims = (0, 1)
    if dims is not None:
        return means[:, list(dims)], (f"$z_{{{dims[0] + 1}}}$", f"$z_{{{dims[1] + 1}}}$")
    centered = (means - means.mean(0)).double()
    _, values, directions = torch.linalg.svd(centered, full_matrices=False)
    share = values.square() / values.square().sum()
    first, second = (f"principal component {i + 1} ({100 * share[i]:.0f} % of variance)" for i in range(2))
    return (centered @ directions[:2].T).float(), (first, second)
