"""DCGAN on mnist5k at 32x32, ours and plain PyTorch, the same number of steps: quality against time.

    python -m benchmarks.dcgan_digits [--minutes 15] [--width 64] [--seed 0] [--out runs/dcgan_digits]

GANTrainer trains for so many minutes, all it does by default included (run directory, checkpoints, sample grids,
diagnosis). Plain PyTorch, channels-last, then takes the same number of steps; both are measured after the same ones:
Frechet distance in the features of a small digit classifier trained on the spot, and the digits that it sees among the
samples. Clocks stand still while samples are measured. Writes ``results.json`` and a grid of each model.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gan_step.plain import LATENT_DIM, PlainStep, batches, networks
from deepgen_fast.data import load_dataset
from deepgen_fast.models import dcgan
from deepgen_fast.trainers import GANTrainer, save_image_grid

SIZE, BATCH, SAMPLES = 32, 64, 4500
MEASUREMENTS = 8  # of each run, at even distances

Measure = Callable[[Callable[[int], Tensor]], dict[str, Any]]


def build_measure(real: Tensor, seed: int) -> Measure:
    """From what draws n images to Frechet distance and classes."""
    from deepgen_fast.metrics import SampleEvaluator, digit_classifier

    classifier = digit_classifier(image_size=SIZE, seed=seed)
    evaluate = SampleEvaluator(classifier.features, real, classifier=classifier)

    def measure(draw: Callable[[int], Tensor]) -> dict[str, Any]:
        found = evaluate(torch.cat([draw(n) for n in _parts(SAMPLES)])).as_dict()
        return {name: found[name] for name in ("frechet_distance", "num_classes_found", "class_counts")}

    return measure


def _parts(count: int, at_once: int = 500) -> list[int]:
    return [min(at_once, count - start) for start in range(0, count, at_once)]


class _Clock:
    """Seconds of training, and what was measured when."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.curve: list[dict[str, Any]] = []
        self._started = time.perf_counter()

    def note(self, step: int, draw: Callable[[int], Tensor]) -> None:
        stopped = time.perf_counter()
        self.curve.append({"step": step, "seconds": stopped - self._started, **self.measure(draw)})
        print(self.curve[-1], flush=True)
        self._started += time.perf_counter() - stopped


class _TimeUp(Exception):
    pass


class _Clocked(GANTrainer):
    """Measures every so many steps, and stops when the time is up."""

    clock: _Clock
    every: float
    seconds: float

    def training_step(self, batch: Tensor, step: int, learning_rate: float) -> Tensor:
        elapsed = time.perf_counter() - self.clock._started
        if elapsed >= (len(self.clock.curve) + 1) * self.every:
            self.note(step)
        if elapsed >= self.seconds:
            raise _TimeUp
        return super().training_step(batch, step, learning_rate)

    def note(self, step: int) -> None:
        generator = torch.Generator().manual_seed(1)
        with self.evaluated_model() as model:
            self.clock.note(step, lambda n: model.sample(n, generator))


def train_ours(images: Tensor, measure: Measure, options: argparse.Namespace) -> tuple[list[dict[str, Any]], Tensor]:
    """Measurements, and samples at the end."""
    torch.manual_seed(options.seed)
    model = dcgan((1, SIZE, SIZE), options.width)
    trainer = _Clocked(
        model, epochs=10**6, batch_size=BATCH, seed=options.seed, device="cpu", run_directory=options.out / "run"
    )
    trainer.clock = _Clock(measure)
    trainer.seconds = 60.0 * options.minutes
    trainer.every = trainer.seconds / MEASUREMENTS
    with contextlib.suppress(_TimeUp):
        trainer.fit(images)
    return trainer.clock.curve, model.eval().sample(100, torch.Generator().manual_seed(2))


def train_plain(
    images: Tensor, measure: Measure, options: argparse.Namespace, steps: list[int]
) -> tuple[list[dict[str, Any]], Tensor]:
    """The same, measured after each of ``steps``."""
    torch.manual_seed(options.seed)
    generator, discriminator = networks(SIZE, 1, options.width)
    step = PlainStep(generator, discriminator, channels_last=True)
    stream = batches(images, BATCH)
    clock = _Clock(measure)
    for index in range(steps[-1]):
        step(next(stream))
        if index + 1 in steps:
            clock.note(index + 1, _drawing(generator, seed=1))
    return clock.curve, _drawing(generator, seed=2)(100)


def _drawing(network: nn.Module, seed: int) -> Callable[[int], Tensor]:
    noise = torch.Generator().manual_seed(seed)

    def draw(count: int) -> Tensor:
        network.eval()
        with torch.no_grad():
            images = network(torch.rand(count, LATENT_DIM, 1, 1, generator=noise) * 2 - 1) * 0.5 + 0.5
        network.train()
        return images

    return draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/dcgan_digits"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train: Any = load_dataset("mnist5k", validation_fraction=0.0).train
    images = F.pad(train.images, (2, 2, 2, 2))  # as the classifier's digits are
    measure = build_measure(images, options.seed)
    ours, our_samples = train_ours(images, measure, options)
    plain, plain_samples = train_plain(images, measure, options, [point["step"] for point in ours])
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps({"GANTrainer": ours, "PyTorch": plain}, indent=1) + "\n")
    for name, samples in (("ours", our_samples), ("plain", plain_samples)):
        save_image_grid(samples, options.out / f"{name}.png", 10)
    print("\n| steps | GANTrainer | | PyTorch, channels-last | | time |\n|---|---|---|---|---|---|")
    for first, second in zip(ours, plain, strict=True):
        cells = [f"{point['seconds']:.0f} s | {point['frechet_distance']:.2f}" for point in (first, second)]
        print(f"| {first['step']} | {' | '.join(cells)} | x{second['seconds'] / first['seconds']:.2f} |")
    print(f"digits among {SAMPLES} samples: {ours[-1]['class_counts']} and {plain[-1]['class_counts']}")


if __name__ == "__main__":
    main()
