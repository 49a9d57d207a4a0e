"""A fault that a programmer might make, and the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class OutOfDate(ValueError):
    """The code that a fault changes is not there any more."""


@dataclass(frozen=True)
class Fault:
    """One change of one file.

    Args:
        file: relative to the repository.
        original: text that the file has exactly once.
        replacement: what stands there instead.
        tests: arguments of pytest: files, and ``-k`` with an expression.
    """

    file: str
    original: str
    replacement: str
    tests: str

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.original, self.replacement))
        return f"{self.file}: {before} -> {after or '(nothing)'}"

    def text(self, root: Path) -> str:
        """The file's contents with the fault in them.

        Raises:
            OutOfDate: the original text is not there, or more than once.
        """
        path = root / self.file
        content = path.read_text() if path.exists() else ""
        count = content.count(self.original)
        if count != 1:
            raise OutOfDate(f"{self.file} has {self.original!r} {count} times; a fault needs it exactly once")
        return content.replace(self.original, self.replacement)

    def plant(self, root: Path) -> None:
        (root / self.file).write_text(self.text(root))
