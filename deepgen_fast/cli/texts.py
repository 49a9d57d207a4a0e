"""Text that a command makes: printed, or written to a file."""

from __future__ import annotations

from pathlib import Path


def show(text: str, path: Path | None) -> None:
    """Print a text, or write it to a file and print its name."""
    if path is None:
        print(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(path)
