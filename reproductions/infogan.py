"""InfoGAN (Chen et al. 2016): a categorical code that comes to mean the digit, without a label.

    python -m reproductions.infogan

A classifier that was trained on the real digits of mnist5k says which digit each sample is. Codes are matched to
digits, each to one, as fits best (the Hungarian algorithm); by chance a tenth of the samples would match. The bound on
the information of the code is that of the last epoch, from fresh samples; its maximum is log 10.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from deepgen_fast.data import load_dataset
from deepgen_fast.metrics import digit_classifier
from deepgen_fast.models import InfoGAN
from deepgen_fast.models.labels import labels_in_turn
from deepgen_fast.nn.batch_norm import batch_statistics
from deepgen_fast.random import BatchNoise
from deepgen_fast.training import save_image_grid
from reproductions.acceptance import Claim, Options, accept
from reproductions.matching import counts_of, matched
from reproductions.training import trained

SAMPLES = 2000  # as many of each code
BATCH = 100
STEPS = 10  # of a traversal

CLAIMS = (
    Claim("matched", "part of samples whose digit is the one that their categorical code is matched to", 0.6),
    Claim("held_out", "part of held-out real digits that Q matches to their class"),
    Claim("bound", "bound on the information of the categorical code over its maximum log 10", 0.95),
    Claim("continuous", "bound on the information of the two continuous codes, nats", digits=2),
)


def measure(options: Options) -> dict[str, float]:
    """Train, draw as many of each code, and match codes with digits."""
    data = load_dataset("mnist5k")
    assert data.test is not None and data.test.images is not None and data.test.labels is not None
    classifier = digit_classifier(seed=options.seed)
    model, history = trained("infogan", options.seed, data)
    codes = labels_in_turn(SAMPLES, model.num_classes)
    samples = model.sample(SAMPLES, torch.Generator().manual_seed(options.seed), labels=codes)
    with torch.no_grad():
        digits = torch.cat([classifier(batch).argmax(1) for batch in samples.split(BATCH)])
    read = read_codes(model, data.test.images)
    if options.pictures is not None:
        draw(model, options.pictures / "infogan.png")
    return {
        "matched": matched(counts_of(codes, digits, model.num_classes)),
        "held_out": matched(counts_of(read, data.test.labels, model.num_classes)),
        "bound": history[-1]["validation_discriminator_categorical_information"] / math.log(model.num_classes),
        "continuous": history[-1]["validation_discriminator_continuous_information"],
    }


@torch.no_grad()
def read_codes(model: InfoGAN, images: Tensor) -> Tensor:
    """The categorical codes that Q finds in images, batch norms with the statistics of all of them."""
    with batch_statistics(model):
        return model.recognize(model.from_data(images)).logits.argmax(1)


@torch.no_grad()
def draw(model: InfoGAN, path: Path) -> None:
    """Three blocks, a column for each categorical code: z new in every row; then, z the same in all, a row for each of
    ten values of either continuous code from -1 to 1."""
    z, code, continuous = model.draw_latent(model.num_classes, BatchNoise(torch.Generator().manual_seed(1)))
    rows = [model.sample(STEPS * model.num_classes, torch.Generator().manual_seed(0))]
    z = z[:1].expand_as(z)
    for index in range(model.num_continuous):
        for value in torch.linspace(-1, 1, STEPS):
            moved = torch.zeros_like(continuous)
            moved[:, index] = value
            rows.append(model.decode((z, code, moved)))
    save_image_grid(torch.cat(rows), path, model.num_classes)


if __name__ == "__main__":
    accept("infogan", "InfoGAN (Chen et al. 2016)", CLAIMS, measure, command="deepgen-fast train infogan")
