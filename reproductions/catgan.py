"""CatGAN (Springenberg 2015): classes found without labels, and with a hundred.

    python -m reproductions.catgan

Without labels: 20 clusters of the training digits of mnist5k; each is named after the digit that most of its validation
digits are, and the held-out test digits count as right under that name; by chance a tenth would. With ten labels a
class: accuracy on the test digits, beside that of the very same network trained on the same hundred digits alone, with
the same noise in its layers, optimizer and number of steps. The labeled digits are others for every seed.
"""

from __future__ import annotations

from pathlib import Path

import torch

from deepgen_fast.data import Split, load_dataset
from deepgen_fast.models import CatGAN, catgan
from deepgen_fast.training import save_image_grid
from reproductions.acceptance import Claim, Options, accept
from reproductions.few_labels import accuracy, compare, labels_of, predictions
from reproductions.matching import counts_of, majority
from reproductions.training import trained

CLUSTERS = 20
COLUMNS = 10  # of the picture

CLAIMS = (
    Claim("clustering", f"test accuracy of {CLUSTERS} clusters found without labels", 0.7),
    Claim("semi_supervised", "test accuracy with 100 labels", 0.9),
    Claim("supervised", "test accuracy of the same network, trained on the 100 labeled digits alone"),
    Claim("gain", "the difference", 0.05),
)


def measure(options: Options) -> dict[str, float]:
    """Train without labels, with a hundred, and on the hundred alone."""
    data = load_dataset("mnist5k", split_seed=options.seed)
    assert data.validation is not None and data.test is not None
    clustering, _ = trained("catgan", options.seed, data__split_seed=options.seed, model__num_classes=CLUSTERS)
    names = majority(counts_of(predictions(clustering, data.validation), labels_of(data.validation), CLUSTERS))
    few = compare("catgan", catgan, data, options.seed)
    numbers = {
        "clustering": accuracy(names[predictions(clustering, data.test)], data.test),
        "semi_supervised": few.accuracy,
        "supervised": few.baseline,
    }
    if options.pictures is not None:
        draw(clustering, data.test, options.pictures / "catgan.png")
    return numbers | {"gain": numbers["semi_supervised"] - numbers["supervised"]}


def draw(model: CatGAN, test: Split, path: Path) -> None:
    """A row for each cluster that has test digits: the ten that it is surest of."""
    assert test.images is not None
    certainty = model.probabilities(test.images)
    rows = []
    for cluster in range(model.num_classes):
        mine = (certainty.argmax(1) == cluster).nonzero().flatten()
        best = mine[certainty[mine, cluster].argsort(descending=True)][:COLUMNS]
        if len(best) == COLUMNS:
            rows.append(test.images[best])
    save_image_grid(torch.cat(rows), path, COLUMNS)


if __name__ == "__main__":
    accept(
        "catgan",
        "CatGAN (Springenberg 2015)",
        CLAIMS,
        measure,
        command="deepgen-fast train catgan --labels-per-class 10",
    )
