"""Minibatch discrimination (Salimans et al. 2016) on the ring of eight Gaussians: modes that the plain GAN loses.

    python -m reproductions.improved_techniques

The game is that of Metz et al. (2017, "Unrolled generative adversarial networks"), who show how a GAN goes round the
ring from mode to mode: the same learning rates, the generator's ten times the discriminator's, and no penalty. Both
GANs have the same networks, data, steps and seeds; one discriminator's last layer also sees how close the examples of
its minibatch are to each other.
"""

from __future__ import annotations

import torch

from deepgen_fast.data import ring_of_gaussians
from deepgen_fast.metrics.modes import ModeCoverage, modes_found
from deepgen_fast.models import fully_connected_gan
from deepgen_fast.training import GANTrainer
from reproductions import ring
from reproductions.acceptance import Claim, Options, accept

BATCH, STEPS_AN_EPOCH, EPOCHS = 128, 100, 50
KERNELS = 32

CLAIMS = (
    Claim("plain_modes", "modes of 8, plain GAN", 4.0, "at most", digits=1),
    Claim("minibatch_modes", "modes of 8, minibatch discrimination", 8.0, digits=1),
    Claim("plain_quality", "samples within 3 standard deviations of a mode, plain GAN", digits=2),
    Claim("minibatch_quality", "the same, minibatch discrimination", digits=2),
)


def train(seed: int, kernels: int) -> tuple[torch.Tensor, ModeCoverage]:
    """Samples of a GAN whose discriminator has so many kernels, and the modes among them."""
    gaussians = ring_of_gaussians()
    torch.manual_seed(seed)
    options = {"units": 128, "discriminator": "leaky_relu", "dropout": 0.0, "output": "linear", "prior": "normal"}
    model = fully_connected_gan((2,), 128, 16, **options, minibatch_kernels=kernels)
    trainer = GANTrainer(
        model, seed=seed, epochs=EPOCHS, batch_size=BATCH, learning_rate=1e-3, discriminator_learning_rate=1e-4,
        validate_every=EPOCHS, progress="none",
    )  # fmt: skip
    trainer.fit(gaussians.sample(BATCH * STEPS_AN_EPOCH, generator=torch.Generator().manual_seed(seed)))
    samples = model.eval().sample(ring.SAMPLES, torch.Generator().manual_seed(seed))
    return samples, modes_found(samples, gaussians)


def measure(options: Options) -> dict[str, float]:
    """Train both, and count."""
    plain_samples, plain = train(options.seed, 0)
    samples, found = train(options.seed, KERNELS)
    if options.pictures is not None:
        made = {"plain GAN": plain_samples, "minibatch discrimination": samples}
        ring.draw(made, options.pictures / "improved_techniques.png")
    return {
        "plain_modes": plain.num_found,
        "minibatch_modes": found.num_found,
        "plain_quality": plain.high_quality_fraction,
        "minibatch_quality": found.high_quality_fraction,
    }


if __name__ == "__main__":
    accept(
        "improved_techniques",
        "GAN with minibatch discrimination (Salimans et al. 2016)",
        CLAIMS,
        measure,
        command="deepgen-fast train gan --data ring --output linear --discriminator leaky_relu --minibatch-kernels 32",
    )
