"""A checkout of its own for each test, and compilers that take no time."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkouts import ERROR, Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "check out"  # a space, as folders of users have them
    folder.mkdir()
    return Checkout(folder)


def _script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """A compiler that finds no header."""
    return _script(tmp_path / "failing", f"echo '{ERROR}' >&2\nexit 1")


@pytest.fixture
def succeeding(tmp_path: Path) -> Path:
    """A compiler that writes what it is told to write, empty, and its arguments to a file."""
    log = tmp_path / "arguments"
    return _script(
        tmp_path / "succeeding",
        f'echo "$@" >> "{log}"\nwhile [ $# -gt 0 ]; do if [ "$1" = -o ]; then : > "$2"; fi; shift; done',
    )
