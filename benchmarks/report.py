"""Measures everything and writes results.json and RESULTS.md: ``python -m benchmarks.report``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from benchmarks.cases import OPS, cases
from benchmarks.elbo_parity import compare_elbos
from benchmarks.environment import environment
from benchmarks.measure import Settings, measure
from benchmarks.plots import plot_speedups
from benchmarks.results import Report
from benchmarks.tables import report_markdown
from benchmarks.vae_epoch.compare import compare_epochs, epoch_floors

SECTIONS = (*OPS, "epochs", "parity")
_BUSY = 0.5  # load of the last minute above which figures are not to be trusted


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="keep the other sections")
    parser.add_argument("--quick", action="store_true", help="smallest budgets: shows that it runs, not how fast")
    parser.add_argument("--render", action="store_true", help="write the tables again without measuring")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the results")
    return parser.parse_args()


def _measure(report: Report, options: argparse.Namespace, console: Console) -> None:
    quick, threads = options.quick, options.threads
    settings = Settings.quick(threads) if quick else Settings(threads)
    for op in (op for op in OPS if op in options.only):
        report.ops = [result for result in report.ops if result.op != op]
        for case in cases(op)[:1] if quick else cases(op):
            result = measure(case, settings)
            report.ops.append(result)
            report.write(options.output / "results.json")  # figures outlive whatever ends the run
            errors = [f"{name} {c.error}" for name, c in result.candidates.items() if c.error]
            speedup = result.speedup()
            console.print(f"{case.name}: " + (f"x{speedup:.2f} " if speedup else "") + "; ".join(errors))
    report.ops.sort(key=lambda result: OPS.index(result.op))
    if "epochs" in options.only:
        rounds, epochs = (1, 2) if quick else (3, 20)
        report.epochs = [
            result
            for validation in (True, False)
            for result in compare_epochs(
                rounds=rounds, epochs=epochs, threads=threads, validation=validation, log=console.print
            )
        ]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            report.epoch_floors = pool.submit(epoch_floors, threads).result()
    if "parity" in options.only:
        report.parity_epochs = 2 if quick else 15
        report.parity = compare_elbos(epochs=report.parity_epochs, threads=threads, log=console.print)


def main() -> int:
    options, console = _options(), Console(soft_wrap=True, highlight=False)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler, in the processes to come, stays silent
    options.output.mkdir(parents=True, exist_ok=True)
    report = Report.read(options.output / "results.json")
    started = time.monotonic()
    if not options.render:
        report.environment = environment(options.threads)
        if float(report.environment["load before (1 min)"]) > _BUSY:
            console.print("Other work is running on this machine: figures will be off.")
        try:
            _measure(report, options, console)
        finally:
            report.write(options.output / "results.json")
    plots = []
    if any(result.speedup() for result in report.ops):
        plot_speedups(report.ops, options.output / "speedups.svg")
        plots.append("speedups.svg")
    (options.output / "RESULTS.md").write_text(report_markdown(report, plots))
    console.print(f"{options.output / 'RESULTS.md'} written after {time.monotonic() - started:.0f} s")
    refused = [result for result in report.ops if "wrong" in (result.candidates["deepgen_fast"].error or "")]
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
