"""Semi-supervised GAN (Salimans et al. 2016): K + 1 classes, feature matching and 100 labels among 4,050 digits.

    python -m reproductions.semi_supervised_gan

The baseline is the same discriminator with the same 100 labels, noise, optimizer and number of steps, and nothing else:
no unlabeled digits, no generator. The labeled digits are others for every seed.
"""

from __future__ import annotations

from pathlib import Path

import torch

from deepgen_fast.data import Split, load_dataset
from deepgen_fast.models import semi_supervised_gan
from deepgen_fast.training import save_image_grid
from reproductions.acceptance import Claim, Options, accept
from reproductions.few_labels import compare, labels_of, predictions

COLUMNS = 10  # of the picture

CLAIMS = (
    Claim("accuracy", "test accuracy with 100 labels", 0.85),
    Claim("baseline", "test accuracy of the same network, trained on the 100 labeled digits alone"),
    Claim("gain", "the difference", 0.05),
)


def measure(options: Options) -> dict[str, float]:
    """Train both with the labels that a seed chooses, and test."""
    data = load_dataset("mnist5k", split_seed=options.seed)
    assert data.test is not None
    found = compare("semi-supervised-gan", semi_supervised_gan, data, options.seed)
    if options.pictures is not None:
        draw(predictions(found.model, data.test), data.test, options.pictures / "semi_supervised_gan.png")
    return {"accuracy": found.accuracy, "baseline": found.baseline, "gain": found.accuracy - found.baseline}


def draw(predicted: torch.Tensor, test: Split, path: Path) -> None:
    """A row for each class: test digits taken for it, those that are wrong first."""
    assert test.images is not None
    rows = torch.zeros(10, COLUMNS, *test.event_shape)
    for label in range(10):
        mine = (predicted == label).nonzero().flatten()
        wrong_first = (labels_of(test)[mine] == label).long().argsort(stable=True)
        shown = test.images[mine[wrong_first]][:COLUMNS]
        rows[label, : len(shown)] = shown
    save_image_grid(rows.flatten(0, 1), path, COLUMNS)


if __name__ == "__main__":
    accept(
        "semi_supervised_gan",
        "Semi-supervised GAN (Salimans et al. 2016)",
        CLAIMS,
        measure,
        command="deepgen-fast train semi-supervised-gan --labels-per-class 10",
    )
