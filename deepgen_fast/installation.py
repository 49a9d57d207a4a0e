"""Where this package was installed from: why a library is not in it, and how to build it."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
from pathlib import Path

_PACKAGE = Path(__file__).parent
# Written by the build, see build_support/record.py: the reason in the first line, then what the compiler said.
CPU_RECORD = _PACKAGE / "_not_built.txt"
CUDA_RECORD = _PACKAGE / "_cuda_not_built.txt"

_SHOWN_LINES = 12


def recorded_reason(record: Path) -> str | None:
    """Why the build made no library, or None where it left no record."""
    try:
        return record.read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return None


def recorded_errors(record: Path) -> tuple[str, ...]:
    """The compiler's first errors, and the file with all that it said; empty where it said nothing."""
    try:
        said = record.read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return ()
    lines = [line for line in said if line.strip()]
    if not lines:
        return ()
    errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)] or lines[-_SHOWN_LINES:]
    return (*errors[:_SHOWN_LINES], f"(all of it: {record})")


def build_command(package: Path = _PACKAGE) -> str:
    """The shell command that builds the libraries for this installation, and fails loudly where they do not build."""
    needs = "pip install 'setuptools>=77' 'pybind11>=2.13'"
    root = package.parent
    if (root / "setup.py").is_file() and (root / "csrc").is_dir():
        inplace = "DEEPGEN_FAST_BUILD_CPU=1 python setup.py build_ext --inplace"
        return f"{needs} && cd {shlex.quote(str(root))} && {inplace}"
    source = _source()
    install = f"DEEPGEN_FAST_BUILD_CPU=1 pip install --force-reinstall --no-deps --no-build-isolation {source or '.'}"
    return f"{needs} && {install}{'' if source else '   (in the folder of the sources)'}"


def _source() -> str | None:
    """What pip was told to install, quoted for a shell; None where it was not from sources, or they are gone."""
    try:
        text = importlib.metadata.distribution("deepgen_fast").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    origin = json.loads(text) if text else {}
    url = origin.get("url", "")
    if "vcs_info" in origin:
        return shlex.quote(f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}")
    if "dir_info" in origin and url.startswith("file://"):
        from urllib.request import url2pathname

        folder = Path(url2pathname(url.removeprefix("file://")))
        return shlex.quote(str(folder)) if (folder / "setup.py").is_file() else None
    return None
