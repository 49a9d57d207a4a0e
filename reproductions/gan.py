"""GAN (Goodfellow et al. 2014): the ring of eight Gaussians, no mode of which is lost.

    python -m reproductions.gan

R1 (Mescheder et al. 2018) is what keeps the two players from circling: without it, which modes are covered changes from
epoch to epoch.
"""

from __future__ import annotations

import torch

from deepgen_fast.data import load_dataset
from deepgen_fast.data.mixtures import ring_of_gaussians
from deepgen_fast.metrics import modes_found
from deepgen_fast.models import fully_connected_gan
from deepgen_fast.objectives import AdversarialObjective
from deepgen_fast.training import GANTrainer
from reproductions import ring
from reproductions.acceptance import Claim, Options, accept

EPOCHS = 20

CLAIMS = (
    Claim("num_found", "modes found of 8", 8.0, digits=1),
    Claim("high_quality", "samples within 3 standard deviations of a mode", digits=2),
    Claim("divergence", "KL of their shares from equal ones, nats", digits=3),
)


def measure(options: Options) -> dict[str, float]:
    """Train on the ring, and count."""
    torch.manual_seed(options.seed)
    model = fully_connected_gan((2,), 128, 16, units=128, discriminator="leaky_relu", dropout=0.0, output="linear")
    settings = {"epochs": EPOCHS, "batch_size": 256, "learning_rate": 1e-3, "schedule": "cosine", "ema_decay": 0.999}
    trainer = GANTrainer(model, AdversarialObjective(r1=0.1), seed=options.seed, progress="none", **settings)
    trainer.fit(load_dataset("ring").train.images)
    with trainer.evaluated_model() as averaged:
        samples = averaged.sample(ring.SAMPLES, torch.Generator().manual_seed(options.seed))
    found = modes_found(samples, ring_of_gaussians())
    if options.pictures is not None:
        ring.draw({"generated": samples}, options.pictures / "gan.png")
    return {"num_found": found.num_found, "high_quality": found.high_quality_fraction, "divergence": found.divergence}


if __name__ == "__main__":
    accept(
        "gan",
        "GAN (Goodfellow et al. 2014)",
        CLAIMS,
        measure,
        command="deepgen-fast train gan --data ring --output linear --discriminator leaky_relu --r1 0.1",
    )
