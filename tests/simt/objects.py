"""Object files that are compiled once per content of what they are made of, in whatever folder the sources lie."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path


def run(command: Sequence[str]) -> None:
    """Run a compiler, and show what it said when it fails."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")


def compiled(command: Sequence[str], source: Path, root: Path, cache: Path) -> Path:
    """The object file of ``source``, from ``cache`` where one was made of the same contents.

    Args:
        command: compiler and flags, without source and output.
        source: what is compiled, in ``root``.
        root: folder of the sources; a copy of it elsewhere finds the same objects.
        cache: folder of the objects, made if missing.
    """
    cache.mkdir(parents=True, exist_ok=True)
    portable = [word.replace(str(root), ".") for word in command]
    name = _digest(repr((portable, str(source.relative_to(root)))).encode())
    included = cache / f"{name}.files"  # what the source included when it was last compiled
    if included.exists():
        found = cache / f"{name}-{_contents(root, included.read_text().split())}.o"
        if found.exists():
            return found
    partial = cache / f"{name}.{os.getpid()}"
    dependencies = partial.with_suffix(".d")
    run([*command, "-MMD", "-MF", str(dependencies), "-c", str(source), "-o", str(partial)])
    files = _in_root(root, dependencies.read_text())
    dependencies.unlink()
    found = cache / f"{name}-{_contents(root, files)}.o"
    partial.replace(found)
    included.write_text("\n".join(files))
    return found


def _in_root(root: Path, makefile: str) -> list[str]:
    """The files of ``root`` in a rule of a makefile, as the compiler writes it."""
    words = re.split(r"(?<!\\)\s+", makefile.split(":", 1)[1].replace("\\\n", " ").strip())
    paths = (Path(os.path.normpath(word)) for word in words)
    return sorted({str(path.relative_to(root)) for path in paths if path.is_relative_to(root)})


def _contents(root: Path, files: Sequence[str]) -> str:
    missing = b"\0missing"
    parts = [(root / file).read_bytes() if (root / file).exists() else missing for file in files]
    return _digest(b"\0".join([repr(tuple(files)).encode(), *parts]))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]
