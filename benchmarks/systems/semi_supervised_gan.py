"""Semi-supervised GAN (Salimans et al. 2016): K + 1 classes, feature matching and 100 labels of the 4,000 digits.

    python -m benchmarks.systems.semi_supervised_gan

The baseline is the same discriminator with the same 100 labels and nothing else: no unlabelled digits, no generator.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.systems.acceptance import Claim, Options, accept
from deepgen_fast.data import Split, keep_labels, load_dataset
from deepgen_fast.models import SemiSupervisedGAN, semi_supervised_gan
from deepgen_fast.objectives import SemiSupervisedObjective
from deepgen_fast.trainers import GANTrainer

LABELS_PER_CLASS = 10
WIDTH, EPOCHS, BATCH, RATE = 16, 30, 64, 1e-3
BASELINE_STEPS = 1000  # its accuracy does not change after the first 250

CLAIMS = (
    Claim("accuracy", "test accuracy with 100 labels", 0.85),
    Claim("baseline", "of the same network, supervised"),
    Claim("gain", "the difference", 0.05),
)


def accuracy(model: SemiSupervisedGAN, test: Split) -> float:
    """Part of the test digits whose class the discriminator tells right."""
    assert test.images is not None and test.labels is not None
    return (model.predict(_floats(test.images)) == test.labels).double().mean().item()


def supervised(train: Split, seed: int) -> SemiSupervisedGAN:
    """The discriminator trained on the labelled digits alone."""
    torch.manual_seed(seed)
    model = semi_supervised_gan((1, 28, 28), width=WIDTH)
    has_label = train.labels >= 0
    x, labels = model.from_data(_floats(train.images[has_label])), train.labels[has_label]
    optimizer = torch.optim.Adam(model.discriminator_parameters(), RATE, betas=(0.5, 0.999))
    for _ in range(BASELINE_STEPS):
        rows = torch.randint(len(x), (BATCH,))
        optimizer.zero_grad()
        F.cross_entropy(model.classify(x[rows]), labels[rows]).backward()
        optimizer.step()
    return model.eval()


def semi_supervised(train: Split, seed: int) -> SemiSupervisedGAN:
    """Both players, trained on all digits and the few labels."""
    torch.manual_seed(seed)
    model = semi_supervised_gan((1, 28, 28), width=WIDTH)
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": RATE, "schedule": "cosine", "progress": "none"}
    trainer = GANTrainer(model, SemiSupervisedObjective(), seed=seed, validate_every=EPOCHS, **settings)
    trainer.fit(train.images, labels=train.labels)
    return model.eval()


def measure(options: Options) -> dict[str, float]:
    """Train both with the labels that a seed chooses, and test."""
    data = load_dataset("mnist5k")
    train = keep_labels(data.train, LABELS_PER_CLASS, seed=options.seed)
    model, baseline = semi_supervised(train, options.seed), supervised(train, options.seed)
    if options.pictures is not None:
        _draw(model, train, data.test, options.pictures / "semi_supervised_gan.png")
    found, plain = accuracy(model, data.test), accuracy(baseline, data.test)
    return {"accuracy": found, "baseline": plain, "gain": found - plain}


def _floats(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _draw(model: SemiSupervisedGAN, train: Split, test: Split, path: Path) -> None:
    """The 100 labelled digits, and test digits in rows by the class they are taken for."""
    from matplotlib.figure import Figure

    images, predictions = _floats(test.images), model.predict(_floats(test.images))
    figure = Figure(figsize=(9.0, 4.7), layout="constrained")
    labelled = [_floats(train.images[train.labels == label])[:LABELS_PER_CLASS] for label in range(10)]
    taken = [images[predictions == label][:LABELS_PER_CLASS] for label in range(10)]
    titles = ("all that is labelled", "unseen digits, by the class they are taken for")
    for axes, rows, title in zip(figure.subplots(1, 2), (labelled, taken), titles, strict=True):
        grid = torch.zeros(10 * 28, LABELS_PER_CLASS * 28)
        for row, digits in enumerate(rows):
            for column, digit in enumerate(digits):
                grid[row * 28 : (row + 1) * 28, column * 28 : (column + 1) * 28] = digit[0]
        axes.imshow(grid, cmap="gray")
        axes.set(title=title, xticks=[], yticks=[])
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    accept(
        "semi_supervised_gan",
        "Semi-supervised GAN (Salimans et al. 2016)",
        CLAIMS,
        measure,
        command="deepgen-fast train semi-supervised-gan --data mnist5k --labels-per-class 10",
    )
