"""Does Winograd filtering train as the direct algorithm does? ``python -m benchmarks.dcgan_algorithms [--steps 300]``.

A DCGAN on mnist5k at 32x32, with each algorithm from each of three seeds: a seed decides weights, noise and batches
alike. Losses of a seed drift apart in time, as any two roundings do; so what is compared is their mean over the last
third of the steps, beside how much it differs from seed to seed.
"""

from __future__ import annotations

import argparse
import statistics

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepgen_fast.data import load_dataset
from deepgen_fast.nn import DiscriminatorBlock, GeneratorBlock

ALGORITHMS = ("direct", "winograd")
SEEDS = (0, 1, 2)
LATENTS = 100


def networks(algorithm: str, width: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Figure 13.8 at 32x32: every layer between the edges is of stride 2 and runs ``algorithm``."""
    generator = nn.Sequential(
        GeneratorBlock(LATENTS, 4 * width, 4, 1, 0),
        GeneratorBlock(4 * width, 2 * width, algorithm=algorithm),
        GeneratorBlock(2 * width, width, algorithm=algorithm),
        GeneratorBlock(width, 1, norm=False, activation="tanh", algorithm=algorithm),
    )
    discriminator = nn.Sequential(
        DiscriminatorBlock(1, width, norm=False, algorithm=algorithm),
        DiscriminatorBlock(width, 2 * width, algorithm=algorithm),
        DiscriminatorBlock(2 * width, 4 * width, algorithm=algorithm),
        DiscriminatorBlock(4 * width, 1, 4, 1, 0, norm=False, activation=None),
        nn.Flatten(0),
    )
    for layer in (*generator.modules(), *discriminator.modules()):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
    return generator, discriminator


def losses(algorithm: str, seed: int, images: Tensor, steps: int, width: int, batch: int) -> Tensor:
    """``[steps, 2]``: of discriminator (13.32) and generator (13.33)."""
    torch.manual_seed(seed)
    generator, discriminator = networks(algorithm, width)
    optimizers = [torch.optim.Adam(m.parameters(), 2e-4, (0.5, 0.999)) for m in (discriminator, generator)]
    found = torch.zeros(steps, 2)
    for step in range(steps):
        real = images[torch.randint(len(images), (batch,))]
        fake = generator(torch.randn(batch, LATENTS, 1, 1))
        loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        found[step, 0] = loss.detach()
        loss = F.softplus(-discriminator(fake)).mean()
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        found[step, 1] = loss.detach()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = load_dataset("mnist5k").train.images
    assert images is not None
    images = F.pad(images.float() / (255 if images.dtype == torch.uint8 else 1), (2, 2, 2, 2)) * 2 - 1
    late = options.steps * 2 // 3
    means: dict[str, list[list[float]]] = {}
    for algorithm in ALGORITHMS:
        means[algorithm] = []
        for seed in SEEDS:
            found = losses(algorithm, seed, images, options.steps, options.width, options.batch)
            means[algorithm].append(found[late:].mean(0).tolist())
            first = ", ".join(f"{value:.6f}" for value in found[0].tolist())
            print(f"{algorithm}, seed {seed}: first losses {first}; late means {means[algorithm][-1]}", flush=True)
    for index, name in enumerate(("discriminator", "generator")):
        columns = {algorithm: [mean[index] for mean in means[algorithm]] for algorithm in ALGORITHMS}
        direct, winograd = (statistics.mean(columns[algorithm]) for algorithm in ALGORITHMS)
        spread = statistics.mean(statistics.stdev(column) for column in columns.values())
        print(
            f"{name}: direct {direct:.3f}, winograd {winograd:.3f}, difference {abs(direct - winograd):.3f}, "
            f"spread of the seeds {spread:.3f}, so {'not ' if abs(direct - winograd) <= 2 * spread else ''}told apart"
        )


if __name__ == "__main__":
    main()
