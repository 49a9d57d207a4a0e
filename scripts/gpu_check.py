"""One command for a CUDA machine: build, run the tests on the device, measure, and write down what came out.

    python scripts/gpu_check.py [--output FOLDER] [--skip-benchmarks]

Writes ``results.json`` and ``RESULTS.md`` to FOLDER (build/gpu_check). Exit code 0 when everything that could run
passed. On a machine without a GPU that is what can be built; the rest is listed as not run, with what is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from build_support import cuda  # noqa: E402

# The suites that have cases for a GPU, and the cases that run on it; the others are `make test`'s. Each runs in a
# process of its own: a fault on the device ends only that one.
SUITES = {
    "cuda kernels": ["tests/cuda", "-k", "gpu"],
    "triton kernels": ["tests/triton_backend/kernels"],
    "operator contract": ["tests/contract", "-k", "cuda or triton"],
}
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass
class Step:
    """What one step came to."""

    name: str
    outcome: str
    detail: str
    command: str = ""


def machine() -> dict[str, Any]:
    """The versions and the GPU that the results belong to."""
    import torch

    facts: dict[str, Any] = {
        "python": platform.python_version(), "torch": torch.__version__, "torch CUDA": torch.version.cuda,
        "GPU": None,
    }  # fmt: skip
    toolkit = cuda.find_toolkit()
    facts["nvcc"] = toolkit if isinstance(toolkit, str) else str(toolkit.nvcc)
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        facts["GPU"] = properties.name
        facts["compute capability"] = f"{properties.major}.{properties.minor}"
        facts["multiprocessors"] = properties.multi_processor_count
        facts["memory GiB"] = round(properties.total_memory / 2**30, 1)
    return facts


def why_no_device() -> str | None:
    """None where kernels can run on a GPU, else what is missing."""
    import torch

    if torch.version.cuda is None:
        return f"torch {torch.__version__} is a CPU build: install a CUDA build of torch"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no GPU: a CUDA device with its driver is needed"
    return None


def build_step() -> Step:
    """The CUDA library, in place; without a CUDA torch at least a compilation of all kernels."""
    import torch

    if torch.version.cuda is not None:
        report = cuda.build()
        return Step("build", FAILED if "not built" in report else PASSED, report)
    if isinstance(cuda.find_toolkit(), str):
        return Step("build", NOT_RUN, f"no CUDA compiler: {cuda.find_toolkit()}")
    import os

    os.environ[cuda.FORCE] = "1"
    report = cuda.build(ROOT / "build" / "cuda" / "_C_cuda.so")
    outcome = FAILED if "not built" in report else PASSED
    return Step("build", outcome, f"compiled only, not installed (torch is a CPU build). {report}")


def budget_step() -> Step:
    """Registers, spills and access widths."""
    command = [sys.executable, "tests/cuda/budget.py"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = (result.stdout.strip().splitlines() or [result.stderr.strip()[-200:]])[-1]
    outcome = FAILED if result.returncode else NOT_RUN if "not checked" in last else PASSED
    return Step("register budget", outcome, last, " ".join(command[1:]))


def test_step(name: str, arguments: list[str], folder: Path, missing: str | None) -> Step:
    """One suite; its cases for a GPU run only where there is one."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", *arguments]
    shown = f"python {shlex.join(command[1:])}"
    if missing:
        return Step(f"tests: {name}", NOT_RUN, missing, shown)
    if not (ROOT / arguments[0]).exists():
        return Step(f"tests: {name}", NOT_RUN, f"{arguments[0]} is not in this tree", shown)
    report = folder / f"{name.replace(' ', '_')}.xml"
    subprocess.run([*command, f"--junitxml={report}"], cwd=ROOT)
    if not report.exists():
        return Step(f"tests: {name}", FAILED, "pytest ended without a report", shown)
    suite = next(ElementTree.parse(report).getroot().iter("testsuite")).attrib
    counts = {key: int(suite[key]) for key in ("tests", "failures", "errors", "skipped")}
    outcome = FAILED if counts["failures"] or counts["errors"] or not counts["tests"] else PASSED
    return Step(f"tests: {name}", outcome, ", ".join(f"{v} {k}" for k, v in counts.items()), shown)


def benchmark_step(folder: Path, missing: str | None) -> Step:
    """Operators, layers and networks against eager and torch.compile on the device."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--output", str(folder)]
    if missing:
        return Step("benchmarks", NOT_RUN, missing, "python -m benchmarks.gpu")
    result = subprocess.run(command, cwd=ROOT)
    return Step("benchmarks", FAILED if result.returncode else PASSED, "see below", " ".join(command[1:]))


def markdown(facts: dict[str, Any], steps: list[Step], tables: dict[str, str]) -> str:
    """The report that people read."""
    lines = ["# GPU check", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    lines += ["| step | outcome | detail |", "|---|---|---|"]
    lines += [f"| {step.name} | {step.outcome} | {step.detail.replace('|', '/')} |" for step in steps]
    for name, table in tables.items():
        lines += ["", f"## {name.replace('_', ' ').capitalize()}", "", table.rstrip()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "gpu_check", help="folder of the results")
    parser.add_argument("--skip-benchmarks", action="store_true", help="build and test only")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if importlib.util.find_spec("torch") is None:
        print("GPU check: torch is not installed.")
        return 1

    build = build_step()
    missing = why_no_device() or (None if build.outcome == PASSED else build.detail)
    steps = [build, budget_step()]
    steps += [test_step(name, paths, options.output, missing) for name, paths in SUITES.items()]
    tables: dict[str, str] = {}
    if not options.skip_benchmarks:
        blocked = missing or (
            "a test failed: nothing wrong is timed" if any(s.outcome == FAILED for s in steps) else None
        )
        steps.append(benchmark_step(options.output, blocked))
        if blocked is None:
            tables = {path.stem: path.read_text() for path in sorted(options.output.glob("benchmark_*.md"))}

    facts = machine()
    results = {"machine": facts, "steps": [asdict(step) for step in steps]}
    (options.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "RESULTS.md").write_text(markdown(facts, steps, tables))
    for step in steps:
        print(f"{step.outcome:8s} {step.name}: {step.detail}" + (f"\n         {step.command}" if step.command else ""))
    failed = [step.name for step in steps if step.outcome == FAILED]
    if failed:
        print(f"GPU check: FAILED: {', '.join(failed)}.")
    elif missing:
        print(f"GPU check: nothing ran on a GPU here. Missing: {missing}.")
    else:
        print(f"GPU check: everything passed on {facts['GPU']}.")
    print(f"Results: {options.output / 'RESULTS.md'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
