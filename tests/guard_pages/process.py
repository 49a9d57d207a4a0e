"""Processes that an access out of bounds may end; each prints what it is about to do: its last line says where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Python on these arguments, with the library and the tests importable, in one thread."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | environment, capture_output=True, text=True, cwd=ROOT
    )


def check(arguments: list[str], least: int, **environment: str) -> None:
    """The process ends well, and its last line is the number of its cases, at least ``least``."""
    done = run(arguments, **environment)
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    assert done.returncode == 0, f"exit status {done.returncode} in: {last}\n{done.stderr[-2000:]}"
    assert int(last) >= least, done.stdout
