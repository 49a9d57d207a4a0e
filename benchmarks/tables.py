"""The report's tables; rich draws them on a terminal and writes them as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from statistics import mean

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.cases import PHASES
from benchmarks.results import CandidateResult, EpochResult, OpResult, ParityResult, Report, Spread

# (candidate, competitor) -> speed-up aimed at, for an epoch of training.
EPOCH_TARGETS = {("VAETrainer", "pythae"): 2.5, ("VAETrainer", "eager loop"): 1.15, ("VAETrainer, bf16", "pythae"): 3.5}
_TITLES = {"both": "Forward + backward", "forward": "Forward", "backward": "Backward"}
_INTRODUCTION = """\
Written by `python -m benchmarks.report`; how it measures is in `README.md`. Times are medians with 20 % and 80 %
beside them. Speed-up is over the better of eager and torch.compile; below x1 deepgen_fast is slower. Floors: the
bytes a step must touch at the bandwidth measured for as many bytes, fresh outputs included; the arithmetic of the
formulas at the rate of a large matrix product; and the call itself, which is the operator on a tensor of 8 numbers.
What binds is the largest of the three. The floors are estimates: a figure below one means that the estimate is high.
"""


def seconds(value: float) -> str:
    """Three digits in a fitting unit."""
    if value == 0:
        return "0"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1 or unit == "µs":
            break
    return f"{value * factor:#.3g} {unit}".replace(". ", " ")


def spread(value: Spread | None) -> str:
    """Median, with 20 % and 80 % behind."""
    return f"{seconds(value.median)} ({seconds(value.low)} to {seconds(value.high)})" if value else ""


def size(count: int | None) -> str:
    """Bytes in a fitting unit."""
    if count is None:
        return ""
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def verdict(speedup: float | None, target: float) -> str:
    """Whether a target is met, to the two digits that are printed."""
    if speedup is None:
        return "not measured"
    return "met" if round(speedup, 2) >= target else "**missed**"


def _table(*columns: str) -> Table:
    table = Table(box=box.MARKDOWN)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    return table


def _label(result: OpResult) -> str:
    shape = str(result.shape)
    return f"{shape} {result.variant}" if result.variant else shape


def _cell(candidate: CandidateResult, phase: str) -> str:
    return spread(candidate.seconds.get(phase)) or (candidate.error or "").replace("\n", " ")[:120]


def op_table(results: Sequence[OpResult], phase: str) -> Table:
    """A row a case: every candidate, the speed-up, the floors; for forward + backward the target too."""
    names = list(results[0].candidates)
    with_target = phase == "both"
    table = _table(
        "shape", *names, "speed-up", *(("target", "") if with_target else ()), "bandwidth floor", "arithmetic floor",
        "call", "binds",
    )  # fmt: skip
    for result in results:
        speedup, floors = result.speedup(phase), result.floors.get(phase, {})
        table.add_row(
            _label(result),
            *(_cell(result.candidates[name], phase) for name in names),
            "" if speedup is None else f"x{speedup:.2f}",
            *((f"x{result.target:g}", verdict(speedup, result.target)) if with_target else ()),
            *(seconds(floors[name]) if name in floors else "" for name in ("bandwidth", "arithmetic", "call")),
            result.binds(phase),
        )
    return table


def memory_table(results: Sequence[OpResult]) -> Table:
    """Peak memory of forward + backward above the inputs."""
    table = _table("shape", *results[0].candidates)
    for result in results:
        table.add_row(_label(result), *(size(c.peak_bytes) for c in result.candidates.values()))
    return table


def epoch_table(results: Sequence[EpochResult]) -> Table:
    """A row a way to train: its epoch, and VAETrainer's speed-up over it."""
    table = _table("candidate", "precision", "epoch", "epoch / VAETrainer", "epoch / VAETrainer, bf16", "memory added")
    medians = {r.candidate: r.seconds.median for r in results if r.seconds}
    for result in results:
        ratios = [
            f"x{medians[result.candidate] / medians[ours]:.2f}"
            if result.candidate in medians and ours in medians
            else ""
            for ours in ("VAETrainer", "VAETrainer, bf16")
        ]
        epoch = result.skipped or spread(result.seconds)
        table.add_row(result.candidate, result.precision, epoch, *ratios, size(result.peak_bytes))
    return table


def epoch_targets_table(results: Sequence[EpochResult]) -> Table:
    """The speed-ups aimed at."""
    table = _table("of", "over", "speed-up", "target", "")
    medians = {r.candidate: r.seconds.median for r in results if r.seconds}
    for (ours, theirs), target in EPOCH_TARGETS.items():
        known = ours in medians and theirs in medians
        speedup = medians[theirs] / medians[ours] if known else None
        shown = "" if speedup is None else f"x{speedup:.2f}"
        table.add_row(ours, theirs, shown, f"x{target:g}", verdict(speedup, target))
    return table


def parity_table(results: Sequence[ParityResult]) -> Table:
    """Test ELBO of every seed, and the distance of the mean from VAETrainer's beside the seeds' range."""
    table = _table("candidate", "test ELBO, seed by seed", "mean", "range", "mean - VAETrainer's", "")
    ours = next((r.elbos for r in results if r.candidate == "VAETrainer"), [])
    for result in results:
        if not result.elbos:
            table.add_row(result.candidate, result.skipped or "not run", "", "", "", "")
            continue
        reach = max(max(elbos) - min(elbos) for elbos in (result.elbos, ours or result.elbos))
        distance = mean(result.elbos) - mean(ours or result.elbos)
        same = "" if result.elbos is ours else "equal" if abs(distance) <= reach else "**differs**"
        table.add_row(
            result.candidate,
            ", ".join(f"{elbo:.2f}" for elbo in result.elbos),
            f"{mean(result.elbos):.2f}",
            f"{max(result.elbos) - min(result.elbos):.2f}",
            f"{distance:+.2f}",
            same,
        )
    return table


def markdown(table: Table) -> str:
    """A table as Markdown."""
    text = StringIO()
    Console(file=text, width=2000, color_system=None).print(table)
    return "\n".join(line.strip() for line in text.getvalue().splitlines() if line.strip()) + "\n"


def _facts(facts: dict[str, str], *columns: str) -> Table:
    table = _table(*columns)
    for name, value in facts.items():
        table.add_row(name, value)
    return table


def report_markdown(report: Report, plots: Sequence[str] = ()) -> str:
    """The whole report; ``plots`` are file names beside it."""
    parts = ["# Benchmarks\n", _INTRODUCTION, markdown(_facts(report.environment, "measured on", "value"))]
    parts += [f"![{name}]({name})\n" for name in plots]
    for op in dict.fromkeys(result.op for result in report.ops):
        rows = [result for result in report.ops if result.op == op]
        parts.append(f"## {op}\n")
        for phase in sorted(PHASES, key=lambda name: name != "both"):
            parts += [f"### {_TITLES[phase]}\n", markdown(op_table(rows, phase))]
        parts += ["### Peak memory of forward + backward, above the inputs\n", markdown(memory_table(rows))]
    if report.epochs:
        parts.append("## An epoch of a VAE on mnist5k: 784-512-16, batch 128, Adam\n")
        floors = {name: seconds(value) for name, value in report.epoch_floors.items()}
        parts.append(markdown(_facts(floors, "floor of an epoch", "time")))
    for validation in (True, False):
        epochs = [result for result in report.epochs if result.validation == validation]
        if epochs:
            parts.append("### Every candidate validates after each epoch\n" if validation else "### Training only\n")
            parts += [markdown(epoch_targets_table(epochs)), markdown(epoch_table(epochs))]
    if report.parity:
        parts.append(f"## Test ELBO after {report.parity_epochs} epochs, nats a digit, 500 held-out digits\n")
        parts.append(markdown(parity_table(report.parity)))
    return "\n".join(parts)
