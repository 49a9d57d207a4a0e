"""Measures and writes the table: ``python -m benchmarks.gan_step [--seconds S] [--width 128] [--output FILE]``.

Figure 13.8 at batch 64: fetching the batch, noise, both players' forward and backward passes, Adam, and reading both
losses. Candidates take turns within one process; medians, with 20 % and 80 %. For a quick look: ``--width 16``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import deepgen_fast as dgf
from benchmarks import environment
from benchmarks.convolution.timing import quantile, take_turns
from benchmarks.gan_step.plain import PlainStep, batches, networks
from deepgen_fast.data import make_batches
from deepgen_fast.models import dcgan
from deepgen_fast.training import GANTrainer

HERE = Path(__file__).parent
SIZE, CHANNELS, EXAMPLES = 64, 3, 512
SPEED_UP = 1.7  # aimed at, over plain PyTorch in float32
OVER_BF16 = 1.0  # aimed at in float32, over plain PyTorch under bf16 autocast

PLAIN: dict[str, dict[str, bool]] = {
    "the well-known script": {"careful": False},
    "PyTorch, contiguous": {},
    "PyTorch, channels-last": {"channels_last": True},
    "PyTorch, channels-last, torch.compile": {"channels_last": True, "compiled": True},
    "PyTorch, channels-last, bf16 autocast": {"channels_last": True, "bf16": True},
}
FLOAT32 = [name for name in PLAIN if "bf16" not in name]
BF16 = "PyTorch, channels-last, bf16 autocast"
OURS = "GANTrainer"


class _Stepped(GANTrainer):
    """Steps one at a time, as the loop takes them."""

    def open(self, images: Tensor) -> Callable[[], object]:
        self._batches = make_batches(
            images, self.config.batch_size, shuffle=True, generator=self._order, drop_last=True
        )
        self.steps_per_epoch = len(self._batches)
        self._schedule = self._build_schedule()
        self.model.train()
        self.prepare(self._batches)
        stream = self._stream()

        def step() -> None:
            position = self.position
            self.training_step(next(stream), position.step, self._schedule.at(position.step))
            position.step += 1
            self._progress.advance(position.step, 1)

        return step

    def _stream(self):
        while True:
            yield from self._batches.epoch()


def candidates(width: int, batch: int, names: list[str]) -> dict[str, Callable[[], object]]:
    """One step of each."""
    images = torch.rand(EXAMPLES, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    made: dict[str, Callable[[], object]] = {}
    for name in names:
        torch.manual_seed(0)
        if name.startswith(OURS):
            precision = "bf16" if "bf16" in name else "float32"
            model = dcgan((CHANNELS, SIZE, SIZE), width)
            made[name] = _Stepped(
                model, batch_size=batch, precision=precision, device="cpu", progress="none", epochs=10**6
            ).open(images)
        else:
            plain = PlainStep(*networks(SIZE, CHANNELS, width), **PLAIN[name])
            stream = batches(images, batch)
            made[name] = lambda plain=plain, stream=stream: plain(next(stream))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=240.0, help="of all turns together; at least five each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--output", type=Path, default=HERE.parent / "GAN_STEP.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = [name for name in (*PLAIN, OURS, f"{OURS}, bf16") if not (options.no_compile and "compile" in name)]
    steps = candidates(options.width, options.batch, names)
    times = dict(zip(names, take_turns(list(steps.values()), options.seconds), strict=True))
    medians = {name: quantile(taken, 0.5) for name, taken in times.items()}
    rival = min(medians[name] for name in names if name in FLOAT32)
    processor = environment.environment(options.threads)["processor"]
    lines = [
        "# A DCGAN training step",
        "",
        f"Written by `python -m benchmarks.gan_step`: {processor}, {options.threads} threads, torch "
        f"{torch.__version__}, deepgen_fast {dgf.__version__}. Figure 13.8, {SIZE}x{SIZE}x{CHANNELS}, width "
        f"{options.width}, batch {options.batch}, everything included. Medians with 20 % and 80 % of "
        f"{len(times[OURS])} turns. All but the well-known script use Adam's fused form and make no gradients for the "
        "discriminator in the generator's step.",
        "",
        "| step | seconds | GANTrainer is faster by |",
        "|---|---|---|",
    ]
    for name, taken in times.items():
        spread = f"({quantile(taken, 0.2):.3f} to {quantile(taken, 0.8):.3f})"
        lines.append(f"| {name} | {medians[name]:.3f} {spread} | x{medians[name] / medians[OURS]:.2f} |")
    for what, ratio, target in (
        ("the best of plain PyTorch in float32", rival / medians[OURS], SPEED_UP),
        ("plain PyTorch under bf16 autocast, ours in float32", medians[BF16] / medians[OURS], OVER_BF16),
    ):
        met = "met" if ratio >= target else "**missed**"
        lines += ["", f"Over {what}: x{ratio:.2f}, target x{target:g}: {met}."]
    print("\n".join(lines))
    options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
