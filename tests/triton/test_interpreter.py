"""Run every file of ``kernels/`` in Triton's interpreter, one process a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

FOLDER = Path(__file__).parent
FILES = sorted(path.name for path in (FOLDER / "kernels").glob("test_*.py"))


def test_there_are_kernel_tests():
    assert len(FILES) >= 5


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="kernels/ is collected in this process")
@pytest.mark.parametrize("name", FILES)
def test_in_the_interpreter(name: str, request: pytest.FixtureRequest):
    marks = request.config.getoption("markexpr") or "not slow"
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, FOLDER / "kernels" / name],
        env=environment,
        capture_output=True,
        text=True,
        cwd=FOLDER.parents[1],
    )
    # 5: every test of the file is deselected by its marks.
    assert done.returncode in (0, 5), done.stdout + done.stderr
