"""What keeps a native library from being built, written into the package: pip hides what a build prints.

``deepgen_fast.installation`` reads it. The first line is the reason, the rest what the compiler said.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CPU = "_not_built.txt"
CUDA = "_cuda_not_built.txt"
_LONGEST = 200_000


def write(folder: Path, name: str, reason: str, said: str = "") -> None:
    """Note in a package's folder why a library is not in it; of a very long output the middle is left out."""
    if len(said) > _LONGEST:
        said = f"{said[: _LONGEST // 2]}\n[...]\n{said[-_LONGEST // 2 :]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"{reason}\n{said}", encoding="utf-8")


def summary(said: str) -> str:
    """The first error of what a compiler said, or nothing."""
    first = next((line.strip() for line in said.splitlines() if re.search(r"\berror\b", line, re.IGNORECASE)), "")
    return f"the compiler failed: {first[:300]}" if first else ""


def clear(folder: Path, name: str) -> None:
    """The library is built: what kept an earlier build from it counts no more."""
    (folder / name).unlink(missing_ok=True)


class Said:
    """What a build's processes have printed; complete when the block of :func:`listening` is left."""

    text = ""


@contextlib.contextmanager
def listening() -> Iterator[Said]:
    """Collect what this process and those that it starts print, and print it at the end.

    At the level of file descriptors, because setuptools lets the compiler write to its own.
    """
    said = Said()
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = {number: os.dup(number) for number in (1, 2)}
        try:
            for number in kept:
                os.dup2(file.fileno(), number)
            yield said
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, before in kept.items():
                os.dup2(before, number)
                os.close(before)
            file.seek(0)
            said.text = file.read().decode(errors="replace")
            sys.stderr.write(said.text)
