"""Is ``algorithm="auto"`` ever slower than PyTorch? ``python -m benchmarks.convolution.sweep [--output SWEEP.md]``.

Public functions beside ``torch.nn.functional``, in both memory formats, forward alone and forward with backward, in
turns, in memory that stays mapped. A row that looks slower is measured again, longer, and that figure counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf
from benchmarks import environment
from benchmarks.convolution.timing import keep_freed_memory, quantile, take_turns

LIMIT = 0.95  # of PyTorch's speed: below it a row counts as slower
GEOMETRIES = {  # kernel, stride, padding, output padding of the transposed convolution
    "k4 s2": (4, 2, 1, 0),
    "k3 s2": (3, 2, 1, 1),
    "k5 s2": (5, 2, 2, 1),
    "k3 s1": (3, 1, 1, 0),
    "k4 s1 p0": (4, 1, 0, 0),
}
# Channels and size of the small image, channels of the large one: GANs' and convolutional VAEs' layers, and odd ones.
IMAGES = (
    (512, 8, 256), (256, 16, 128), (128, 32, 64), (128, 16, 64), (64, 16, 32), (32, 14, 32), (64, 7, 32), (64, 7, 64),
    (256, 4, 128), (512, 4, 256), (128, 8, 128), (48, 9, 96), (64, 32, 3), (128, 32, 3), (32, 14, 1), (128, 14, 1),
)  # fmt: skip
BATCHES = (1, 16, 64, 128)


class Row(NamedTuple):
    name: str
    pytorch: float  # seconds
    ours: float

    @property
    def speedup(self) -> float:
        return self.pytorch / self.ours


class Case(NamedTuple):
    geometry: str
    transposed: bool
    batch: int
    small_channels: int
    size: int
    large_channels: int
    last: bool
    backward: bool

    def __str__(self) -> str:
        kind = "transposed" if self.transposed else "convolution"
        layout = "channels-last" if self.last else "contiguous"
        work = "forward + backward" if self.backward else "forward"
        image = f"{self.small_channels} at {self.size}x{self.size}, {self.large_channels}"
        return f"{kind} {self.geometry}, batch {self.batch}: {image}, {layout}, {work}"


def cases(largest: float) -> Iterator[Case]:
    """Layers of at most ``largest`` multiply-adds."""
    for geometry, (kernel, stride, _, _) in GEOMETRIES.items():
        edge = kernel == 4 and stride == 1
        for batch in BATCHES:
            for small, size, large in ((100, 1, 1024), (100, 1, 256), (1, 1, 512)) if edge else IMAGES:
                if batch * size**2 * kernel**2 * small * large > largest:
                    continue
                for transposed in (True, False):
                    for last in (False, True):
                        for backward in (False, True):
                            yield Case(geometry, transposed, batch, small, size, large, last, backward)


def candidates(case: Case) -> tuple[Callable[[], object], Callable[[], object]]:
    """The same step by PyTorch and by us."""
    kernel, stride, padding, extra = GEOMETRIES[case.geometry]
    generator = torch.Generator().manual_seed(0)
    size = case.size if case.transposed else (case.size - 1) * stride - 2 * padding + kernel + extra
    channels = case.small_channels if case.transposed else case.large_channels
    layout = torch.channels_last if case.last else torch.contiguous_format
    x = torch.randn(case.batch, channels, size, size, generator=generator).contiguous(memory_format=layout)
    weight = 0.02 * torch.randn(case.small_channels, case.large_channels, kernel, kernel, generator=generator)
    x.requires_grad_(case.backward)
    weight.requires_grad_(case.backward)

    def pytorch() -> Tensor:
        if case.transposed:
            return F.conv_transpose2d(x, weight, None, stride, padding, extra)
        return F.conv2d(x, weight, None, stride, padding)

    def ours() -> Tensor:
        if case.transposed:
            return dgf.conv_transpose2d(x, weight, stride=stride, padding=padding, output_padding=extra)
        return dgf.conv2d(x, weight, stride=stride, padding=padding)

    if not case.backward:
        return pytorch, ours
    grad = torch.randn_like(pytorch())
    return tuple(lambda run=run: torch.autograd.grad(run(), (x, weight), grad) for run in (pytorch, ours))  # type: ignore[return-value,misc]


def measure(case: Case, seconds: float) -> Row:
    pair = candidates(case)
    for attempt in (1, 3):
        medians = [quantile(times, 0.5) for times in take_turns(pair, attempt * seconds)]
        if medians[1] * LIMIT <= medians[0]:
            break
    return Row(str(case), medians[0], medians[1])


def report(rows: list[Row], head: str) -> str:
    ratios = torch.tensor([row.speedup for row in rows]).double()
    slower = sum(row.speedup < LIMIT for row in rows)
    lines = [
        '# Is `algorithm="auto"` ever slower than PyTorch?',
        "",
        head,
        "",
        f"{len(rows)} layers and passes: x{ratios.log().mean().exp():.2f} in the geometric mean, "
        f"x{ratios.max():.2f} at best, x{ratios.min():.2f} at worst; {slower} slower by more than 5 %, "
        f"{sum(row.speedup < LIMIT and row.ours - row.pytorch > 100e-6 for row in rows)} of them by more than 0.1 ms.",
        "",
        "| layer and pass, slowest first | PyTorch | ours | |",
        "|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row.speedup):
        lines.append(f"| {row.name} | {row.pytorch * 1e3:.3f} ms | {row.ours * 1e3:.3f} ms | x{row.speedup:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.1, help="for each row")
    parser.add_argument("--largest", type=float, default=5e8, help="multiply-adds of the largest layer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "SWEEP.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    rows = []
    for case in cases(options.largest):
        rows.append(measure(case, options.seconds))
        if rows[-1].speedup < LIMIT:
            print(f"x{rows[-1].speedup:.2f} {rows[-1].ours * 1e3:.3f} ms: {rows[-1].name}", flush=True)
    processor = environment.environment(options.threads)["processor"]
    head = (
        f"Written by `python -m benchmarks.convolution.sweep`: {processor}, {options.threads} threads, torch "
        f"{torch.__version__}, deepgen_fast {dgf.__version__}. Medians, candidates in turns."
    )
    options.output.write_text(report(rows, head))
    print(report(rows, head).splitlines()[4])


if __name__ == "__main__":
    main()
