"""A copy of the sources that was never built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ERROR = "csrc/cpu/dispatch.cpp:3:10: fatal error: torch/csrc/stable/library.h: No such file or directory"


class Checkout:
    """The sources, never built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        unbuilt = shutil.ignore_patterns("*.so", "*not_built.txt", "__pycache__")
        for name in ("build_support", "csrc", "deepgen_fast"):
            shutil.copytree(ROOT / name, folder / name, ignore=unbuilt)
        for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        self.package = folder / "deepgen_fast"
        self.record = self.package / "_not_built.txt"

    def setup(self, *command: str, cxx: Path | str, **variables: str) -> subprocess.CompletedProcess[str]:
        """``python setup.py COMMAND`` with a compiler."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DEEPGEN_FAST_")}
        environment |= {"CXX": str(cxx), "CC": str(cxx), "DEEPGEN_FAST_BUILD_CUDA": "0", **variables}
        run = [sys.executable, "setup.py", "--quiet", *command]
        return subprocess.run(run, cwd=self.folder, env=environment, capture_output=True, text=True)

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        """A program that imports this checkout's package."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        # An editable installation would lend its library to this package, which has none.
        alone = "import sys; sys.meta_path = [f for f in sys.meta_path if '__editable__' not in repr(f)]\n"
        run = [sys.executable, "-c", alone + program]
        return subprocess.run(run, cwd=self.folder, env=environment, capture_output=True, text=True)
