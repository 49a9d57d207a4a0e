"""Times operators, layers and networks on a CUDA device against eager PyTorch and ``torch.compile``.

    python -m benchmarks.gpu [--only operators layers networks] [--output FOLDER]

Candidates take turns within one run. Unless a column says "call", a figure is the device's time in microseconds, from
replays of a CUDA graph: median, 10th and 90th percentile. Writes ``benchmark_PART.json`` and ``benchmark_PART.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import layers, networks, operators

PARTS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "operators": operators.rows,
    "layers": layers.rows,
    "networks": networks.rows,
}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row.values())) + " |" for row in rows)]) + "\n"


def run(part: str, output: Path | None) -> None:
    """Print a part's rows, and write them at each: nothing is lost when a later one fails."""
    rows = []
    for row in PARTS[part]():
        rows.append(row)
        print(row, flush=True)
        if output:
            output.mkdir(parents=True, exist_ok=True)
            (output / f"benchmark_{part}.json").write_text(json.dumps(rows, indent=1) + "\n")
            (output / f"benchmark_{part}.md").write_text(table(rows))


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), help="parts to run")
    parser.add_argument("--output", type=Path, help="folder for the tables")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu: no CUDA device is available")
    with torch.cuda.stream(torch.cuda.Stream()):
        for part in options.only:
            run(part, options.output)


if __name__ == "__main__":
    main()
