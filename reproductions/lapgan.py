"""LAPGAN (Denton et al. 2015): a pyramid that gives images back, and levels that refine, trained alone and together.

    python -m reproductions.lapgan

On the digits of mnist5k at 32 x 32 pixels, in three levels. Distances are Fréchet distances in the features of a small
classifier of the training digits at a level's own size, from the training digits to as many others as the test set
holds: real ones, real ones blurred (the l_k that a level is given), what a level makes of these, and samples of the
whole chain. Images of equal number have an equal bias, so they compare with one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from deepgen_fast.data import load_dataset
from deepgen_fast.metrics import SampleEvaluator, train_image_classifier
from deepgen_fast.models import LAPGAN
from deepgen_fast.models.laplacian_gan import combine
from deepgen_fast.models.laplacian_pyramid import gaussian_pyramid, laplacian_pyramid, reconstruct, up
from deepgen_fast.random import BatchNoise
from deepgen_fast.training import save_image_grid
from reproductions.acceptance import Claim, Options, accept
from reproductions.training import trained

SIZE, LEVELS = 32, 3
ROWS = 10  # of the picture

_WAYS = {"alone": "levels trained alone", "together": "levels trained together"}
CLAIMS = (
    Claim("pyramid_error_float64", "largest error of a pyramid put together again, in units of rounding at 1, float64",
          LEVELS - 1, "at most", 1),
    Claim("pyramid_error_float32", "the same in float32", LEVELS - 1, "at most", 1),
    *(
        claim
        for level in range(LEVELS - 1)
        for claim in (
            Claim(f"refined_{level}", f"level {level}, of real low-pass images: distance over theirs", 1.0, "at most"),
            Claim(f"blurred_distance_{level}", f"level {level}: distance of the low-pass images", digits=2),
            Claim(f"distance_{level}", f"level {level}: distance of what its generator makes of them", digits=2),
        )
    ),
    *(
        claim
        for way, title in _WAYS.items()
        for claim in (
            Claim(f"digits_{way}", f"digits found of 10, {title}", 10.0, digits=1),
            Claim(f"chain_distance_{way}", f"distance of samples, {title}", digits=2),
        )
    ),
    Claim("held_out_distance", "distance of held-out real digits", digits=2),
)  # fmt: skip


class Judge:
    """Distances and digits of images of a level, in the eyes of a classifier of that level's training digits."""

    def __init__(self, images: Tensor, labels: Tensor, seed: int) -> None:
        classifier = train_image_classifier(images, labels, seed=seed)
        self._evaluate = SampleEvaluator(classifier.features, images, classifier=classifier)

    def distance(self, images: Tensor) -> float:
        return self._evaluate(images.clamp(0, 1)).frechet_distance

    def digits_found(self, images: Tensor) -> float:
        found = self._evaluate(images).num_classes_found
        assert found is not None
        return float(found)


def pyramid_errors(images: Tensor) -> dict[str, float]:
    """Largest difference between images and what the pyramid makes of them, in units of rounding at 1."""
    found = {}
    for dtype in (torch.float32, torch.float64):
        x = images.to(dtype)
        error = (reconstruct(laplacian_pyramid(x, LEVELS)) - x).abs().max().item()
        found[f"pyramid_error_{str(dtype).removeprefix('torch.')}"] = error / torch.finfo(dtype).eps
    return found


@torch.no_grad()
def refinement(model: LAPGAN, level: int, judge: Judge, held_out: Sequence[Tensor], seed: int) -> dict[str, float]:
    """Distances of real low-pass images, and of what a level's generator makes of them."""
    noise = BatchNoise(torch.Generator().manual_seed(seed))
    blurred = judge.distance(up(held_out[level + 1]))
    made = judge.distance(model.decode(model.sample_latents_like(held_out[0], noise)))
    return {f"blurred_distance_{level}": blurred, f"distance_{level}": made, f"refined_{level}": made / blurred}


def measure(options: Options) -> dict[str, float]:
    """Train each level alone and all together, and measure both."""
    data = load_dataset("mnist5k", image_size=SIZE)
    assert data.train.images is not None and data.train.labels is not None
    assert data.test is not None and data.test.images is not None
    held_out = gaussian_pyramid(data.test.images, LEVELS)
    judges = [
        Judge(images, data.train.labels, options.seed) for images in gaussian_pyramid(data.train.images, LEVELS)[:-1]
    ]
    numbers = pyramid_errors(data.train.images) | {"held_out_distance": judges[0].distance(held_out[0])}
    alone = [trained("lapgan", options.seed, data, model__level=str(level)).model for level in range(LEVELS)]
    for level in range(LEVELS - 1):
        numbers |= refinement(alone[level], level, judges[level], held_out, options.seed)
    together = trained("lapgan", options.seed, data, model__level="all").model
    for way, model in (("alone", combine(alone)), ("together", together)):
        samples = model.sample(len(held_out[0]), torch.Generator().manual_seed(options.seed))
        numbers |= {
            f"digits_{way}": judges[0].digits_found(samples), f"chain_distance_{way}": judges[0].distance(samples),
        }  # fmt: skip
        if options.pictures is not None and way == "together":
            draw(model, options.pictures / "lapgan.png", options.seed)
    return numbers


@torch.no_grad()
def draw(model: LAPGAN, path: Path, seed: int) -> None:
    """The same samples at every level: 8, 16 and 32 pixels, one a row, coarse to fine."""
    latent = model.draw_latent(2 * ROWS, BatchNoise(torch.Generator().manual_seed(seed)))
    images = model.images_of(model.generate(latent))
    rows = [F.interpolate(image, scale_factor=float(2**level)) for level, image in enumerate(images)]
    save_image_grid(torch.cat([row for row in reversed(rows)]), path, 2 * ROWS)


if __name__ == "__main__":
    accept(
        "lapgan", "LAPGAN (Denton et al. 2015)", CLAIMS, measure, command="deepgen-fast train lapgan --image-size 32"
    )
