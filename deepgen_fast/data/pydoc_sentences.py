"""English sentences that every Python carries: docstrings and comments of its library, and ``pydoc``'s help."""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from deepgen_fast.data.checks import DataError

#: Parts that distributions of Python leave out, or put into packages of their own.
_LEFT_OUT = frozenset({"distutils", "ensurepip", "idlelib", "lib2to3", "test", "tests", "tkinter", "turtledemo"})

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MARKUP = re.compile(r"[*`\"]+|(?<!\w)'|'(?!\w)|\[\d+\]")
#: Plain prose: no operators, paths or underscores, and so no code.
_PROSE = re.compile(r"[A-Z][A-Za-z0-9,;:'()\- ]*[.!?]")
_NO_PROSE = re.compile(r"[a-z][A-Z]|[A-Z]{2,}[a-z]|--|\w\(|XXX|TODO|FIXME")
_COMMENT = re.compile(r"\s*#[ \t]?(.*)")


@cache
def pydoc_sentences() -> tuple[str, ...]:
    """The sentences of plain prose in the docstrings and comments of the standard library and in ``pydoc``'s topics.

    Read from the library's source, not imported, in the order of file names: nothing is run, and the same Python gives
    the same sentences. Another version of Python has other ones: numbers measured on this corpus belong to the version
    that gave them.

    Raises:
        DataError: when this Python carries no source of its library.
    """
    sentences = tuple(sentence for text in _documents() for sentence in _prose(text))
    if not sentences:
        raise DataError(f"pydoc: this Python carries no source of its standard library ({_library()})")
    return sentences


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _documents() -> Iterator[str]:
    library = _library()
    for path in sorted(library.rglob("*.py"), key=lambda path: path.relative_to(library).parts):
        parts = path.relative_to(library).with_suffix("").parts
        if parts[0] in sys.stdlib_module_names and _LEFT_OUT.isdisjoint(parts) and parts[0] != "pydoc_data":
            yield from _texts(path)
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    yield from (topics[name] for name in sorted(topics))


def _texts(path: Path) -> Iterator[str]:
    """Docstrings and blocks of comments of a source file."""
    try:
        source = path.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes in old modules
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return  # templates, and what a distribution left unreadable
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield text
    # What ends a block gives an empty paragraph.
    comments = (_COMMENT.fullmatch(line) for line in source.splitlines())
    yield "\n".join("" if comment is None else comment[1] for comment in comments)


def _prose(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        flowing = " ".join(_MARKUP.sub("", paragraph).split())
        for sentence in _SENTENCE_END.split(flowing):
            if _PROSE.fullmatch(sentence) and not _NO_PROSE.search(sentence):
                yield sentence
