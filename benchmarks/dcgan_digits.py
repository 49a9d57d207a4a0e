"""DCGAN on mnist5k at 32x32, ours and plain PyTorch, the same number of steps: quality against time.

    python -m benchmarks.dcgan_digits [--steps 2800] [--width 64] [--seeds 0 1 2] [--out runs/dcgan_digits]

GANTrainer with an averaged generator, and all it does by default (run directory, checkpoints, sample grids,
diagnosis), against plain PyTorch, channels-last. Both are measured after the same steps: Frechet distance in the
features of a small digit classifier trained on the spot, and the digits that it sees among the samples; of GANTrainer
both the averaged generator and the one that is trained. Clocks stand still while samples are measured. Writes
``results.json`` and a grid of each model.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import statistics
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
from deepgen_fast.training import GANTrainer, save_image_grid

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

    def note(self, step: int, **draw: Callable[[int], Tensor]) -> None:
        stopped = time.perf_counter()
        measured = {name: self.measure(drawn) for name, drawn in draw.items()}
        self.curve.append({"step": step, "seconds": stopped - self._started, **measured})
        print(self.curve[-1], flush=True)
        self._started += time.perf_counter() - stopped


class _Enough(Exception):
    pass


class _Clocked(GANTrainer):
    """Measures after some steps, and stops at the last of them."""

    clock: _Clock
    steps: list[int]

    def training_step(self, batch: Tensor, step: int, learning_rate: float) -> Tensor:
        if step in self.steps:
            self.note(step)
        if step == self.steps[-1]:
            raise _Enough
        return super().training_step(batch, step, learning_rate)

    def note(self, step: int) -> None:
        self.model.eval()
        with self.evaluated_model() as model:
            averaged = copy.deepcopy(model)
        self.clock.note(step, averaged=_sampling(averaged), trained=_sampling(self.model))
        self.model.train()


def _sampling(model: Any) -> Callable[[int], Tensor]:
    generator = torch.Generator().manual_seed(1)
    return lambda count: model.sample(count, generator)


def train_ours(
    images: Tensor, measure: Measure, options: argparse.Namespace, seed: int
) -> tuple[list[dict[str, Any]], Tensor]:
    """Measurements, and samples at the end."""
    torch.manual_seed(seed)
    directory = options.out / f"run-{seed}"
    trainer = _Clocked(
        dcgan((1, SIZE, SIZE), options.width),
        epochs=10**6,
        batch_size=BATCH,
        ema_decay=0.999,
        seed=seed,
        device="cpu",
        run_directory=directory,
    )
    trainer.clock = _Clock(measure)
    trainer.steps = measured_steps(options.steps)
    with contextlib.suppress(_Enough):
        trainer.fit(images)
    with trainer.evaluated_model() as model:
        return trainer.clock.curve, model.sample(100, torch.Generator().manual_seed(2))


def measured_steps(steps: int) -> list[int]:
    return [steps * (index + 1) // MEASUREMENTS for index in range(MEASUREMENTS)]


def train_plain(
    images: Tensor, measure: Measure, options: argparse.Namespace, seed: int
) -> tuple[list[dict[str, Any]], Tensor]:
    """The same."""
    torch.manual_seed(seed)
    generator, discriminator = networks(SIZE, 1, options.width)
    step = PlainStep(generator, discriminator, channels_last=True)
    stream = batches(images, BATCH)
    clock = _Clock(measure)
    steps = measured_steps(options.steps)
    for index in range(steps[-1]):
        step(next(stream))
        if index + 1 in steps:
            clock.note(index + 1, trained=_drawing(generator, seed=1))
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


def table(ours: list[list[dict[str, Any]]], plain: list[list[dict[str, Any]]]) -> list[str]:
    """Means and standard deviations of the seeds, in Markdown."""

    def distance(curves: list[list[dict[str, Any]]], index: int, which: str) -> str:
        values = [curve[index][which]["frechet_distance"] for curve in curves]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.2f}{spread}"

    def seconds(curves: list[list[dict[str, Any]]], index: int) -> float:
        return statistics.fmean(curve[index]["seconds"] for curve in curves)

    lines = [
        "| steps | GANTrainer | averaged generator | trained generator | PyTorch, channels-last | generator | time |",
        "|---|---|---|---|---|---|---|",
    ]
    for index, point in enumerate(ours[0]):
        first, second = seconds(ours, index), seconds(plain, index)
        cells = [
            str(point["step"]),
            f"{first:.0f} s",
            distance(ours, index, "averaged"),
            distance(ours, index, "trained"),
            f"{second:.0f} s",
            distance(plain, index, "trained"),
            f"x{second / first:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/dcgan_digits"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train: Any = load_dataset("mnist5k", validation_fraction=0.0).train
    images = F.pad(train.images, (2, 2, 2, 2))  # as the classifier's digits are
    measure = build_measure(images, 0)  # the same for all seeds
    ours: list[list[dict[str, Any]]] = []
    plain: list[list[dict[str, Any]]] = []
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name, train_one, curves in (("ours", train_ours, ours), ("plain", train_plain, plain)):
            curve, samples = train_one(images, measure, options, seed)
            curves.append(curve)
            save_image_grid(samples, options.out / f"{name}-{seed}.png", 10)
        (options.out / "results.json").write_text(json.dumps({"GANTrainer": ours, "PyTorch": plain}, indent=1) + "\n")
    print("\n".join(table(ours, plain)))
    for seed, first, second in zip(options.seeds, ours, plain, strict=True):
        counts = [first[-1]["averaged"]["class_counts"], second[-1]["trained"]["class_counts"]]
        print(f"seed {seed}: digits among {SAMPLES} samples: {counts[0]} and {counts[1]}")


if __name__ == "__main__":
    main()
