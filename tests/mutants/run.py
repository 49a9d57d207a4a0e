"""Would the suite notice? Plants one fault after another and runs the tests that must catch it: ``make mutants``.

Each fault goes into a copy of the repository; what it touches is compiled again, and the tests that the list names for
it run there. First they run on the intact copy, where they must pass. Results are kept by fault, product and tests, so
that an interrupted run continues, and a later one repeats what has changed.

Usage: python tests/mutants/run.py [--only TEXT ...] [--seconds S] [--fresh]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mutants import trees
from mutants.fault import Fault
from mutants.faults import FAULTS

RESULTS = trees.CACHE / "results"  # a file each, so that several runs may share them
WANTED = 0.95  # share of the faults that the suite must catch
TIMEOUT = 900  # seconds that one selection of tests may take; a fault that makes them hang is caught


@dataclass(frozen=True)
class Outcome:
    """``by``: what caught the fault, or nothing."""

    by: str
    seconds: float

    @property
    def caught(self) -> bool:
        return bool(self.by)


class Broken(RuntimeError):
    """The list or the tree is at fault, not the suite."""


def _product() -> list[str]:
    return [name for name in trees.files() if name.startswith(trees.PRODUCT)]


def _test_files(fault_tests: str) -> list[str]:
    """The files among pytest's arguments; of a folder, all that is in it."""
    paths = [word.split("::")[0] for word in shlex.split(fault_tests) if word.startswith("tests/")]
    return [name for name in trees.files() if any(name == path or name.startswith(f"{path}/") for path in paths)]


class Session:
    """Runs selections of tests on the intact and on the faulty tree, and remembers what came of it."""

    def __init__(self, folder: Path) -> None:
        self.tree = trees.copy(folder)
        trees.share_emulator_objects(self.tree)
        self.product = trees.fingerprint(_product())

    def outcome(self, fault: Fault) -> Outcome:
        intact = self._remembered(None, fault.tests)
        if intact.caught:
            raise Broken(f"pytest {fault.tests} fails without a fault: {intact.by}")
        return self._remembered(fault, fault.tests)

    def _remembered(self, fault: Fault | None, tests: str) -> Outcome:
        key = repr((fault, tests, self.product, trees.fingerprint(_test_files(tests))))
        kept = RESULTS / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"
        if kept.exists():
            return Outcome(**json.loads(kept.read_text()))
        found = self._run(tests) if fault is None else self._run_with(fault)
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(found)))
        partial.replace(kept)
        return found

    def _run_with(self, fault: Fault) -> Outcome:
        path = self.tree / fault.file
        intact = path.read_text()
        compiled = fault.file.startswith("csrc/") and path.suffix in (".h", ".cpp")
        started = time.monotonic()
        fault.plant(self.tree)
        try:
            if compiled:
                try:
                    trees.build_cpu(self.tree)
                except RuntimeError as error:
                    raise Broken(f"{fault} does not compile: {error}") from None
            found = self._run(fault.tests)
            return Outcome(found.by, time.monotonic() - started)
        finally:
            path.write_text(intact)
            if compiled:
                trees.restore_cpu(self.tree)

    def _run(self, tests: str) -> Outcome:
        environment = {
            **os.environ, "PYTHONPATH": str(self.tree), "DEEPGEN_FAST_ISA": trees.INSTRUCTION_SET,
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        if "triton_backend/kernels" in tests:
            environment["TRITON_INTERPRET"] = "1"
        # No cache of bytecode: it goes by seconds and sizes, which a fault may leave as they are.
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow",
                   *shlex.split(tests)]  # fmt: skip
        started = time.monotonic()
        try:
            result = subprocess.run(
                command, cwd=self.tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT
            )
        except subprocess.TimeoutExpired:
            return Outcome(f"more than {TIMEOUT} s", time.monotonic() - started)
        seconds = time.monotonic() - started
        if result.returncode == 0:
            if not re.search(r"\d+ passed", result.stdout):
                raise Broken(f"pytest {tests} runs no test: {result.stdout[-500:]}")
            return Outcome("", seconds)
        if result.returncode in (4, 5):
            raise Broken(f"pytest {tests}: {result.stdout[-1000:]}{result.stderr[-1000:]}")
        failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", result.stdout, re.MULTILINE)
        crash = f"a crash ({result.returncode})" if result.returncode < 0 else f"pytest's status {result.returncode}"
        return Outcome(failed[0] if failed else crash, seconds)


def table(outcomes: dict[Fault, Outcome]) -> str:
    """What was planted, what caught it and how long that took."""
    lines = [f"{'s':>5}  {'caught by':<70}  fault"]
    for fault, found in outcomes.items():
        lines.append(f"{found.seconds:5.0f}  {found.by or 'SURVIVED':<70}  {fault}")
    survivors = [fault for fault, found in outcomes.items() if not found.caught]
    share = 1 - len(survivors) / max(len(outcomes), 1)
    lines += ["", f"{len(outcomes)} faults, {len(outcomes) - len(survivors)} caught ({share:.1%}; wanted {WANTED:.0%})"]
    lines += [f"survived: {fault}  [pytest {fault.tests}]" for fault in survivors]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="plant the faults whose file or text contains one of these")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time after which no more are planted")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    chosen = [fault for fault in FAULTS if any(text in str(fault) for text in options.only or [""])]
    for fault in chosen:
        fault.text(trees.ROOT)  # raises where the list is out of date
    outcomes: dict[Fault, Outcome] = {}
    broken: list[str] = []
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        session = Session(Path(folder))
        for fault in chosen:
            if time.monotonic() > end:
                broken.append(f"{len(chosen) - len(outcomes) - len(broken)} faults are left for another run")
                break
            try:
                outcomes[fault] = session.outcome(fault)
            except Broken as error:
                broken.append(str(error))
                print(error, flush=True)
                continue
            print(f"{outcomes[fault].seconds:5.0f} s  {outcomes[fault].by or 'SURVIVED'}  {fault}", flush=True)
    print("\n" + table(outcomes))
    for problem in broken:
        print(f"error: {problem}")
    caught = sum(found.caught for found in outcomes.values())
    return int(bool(broken) or caught < WANTED * len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
