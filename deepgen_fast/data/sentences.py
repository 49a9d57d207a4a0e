"""Sentences as rows of word numbers: from a text file, or from the documentation that comes with Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from deepgen_fast.data.checks import DataError
from deepgen_fast.data.pydoc_sentences import pydoc_sentences
from deepgen_fast.data.splits import DatasetSplits, Split, split_indices
from deepgen_fast.data.vocabulary import EOS, PAD, Vocabulary, tokenize

TEST_SEED = 0
"""Of the held-out sentences of a built-in corpus; fixed, as the test sets of all built-in data."""

TEST_FRACTION = 0.1
_FEWEST = 10

CORPORA = {"pydoc": pydoc_sentences}
"""Corpora by name, each a function that gives its sentences."""


def load_sentences(
    name_or_path: str | Path,
    *,
    min_words: int = 4,
    max_words: int = 20,
    min_count: int = 2,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
) -> DatasetSplits:
    """Sentences of a corpus, divided, with the vocabulary of the training part.

    A sentence stands in one part only, however often it comes and in whatever case: repetitions are left out before the
    division, and held-out sentences that differ from one to train on in unknown words alone after it.

    Args:
        name_or_path: ``"pydoc"``, or a UTF-8 text file with one sentence a line.
        min_words, max_words: of a sentence, punctuation counted; shorter and longer ones are left out.
        min_count: how often a word must come in the training part; rarer ones become ``<unk>``.
        validation_fraction, split_seed: as in ``load_dataset``.
        test_fraction: of a file; a tenth of a built-in corpus is held out, always the same.

    Returns:
        Splits of int64 ``[N, max_words + 1]``: words, ``<eos>``, padding; with their ``vocabulary``.

    Raises:
        DataError: for a file that is empty, cannot be read or is not UTF-8, too few sentences, or no word that comes
            ``min_count`` times.
        ValueError: for an option out of its range.
    """
    if not 1 <= min_words <= max_words:
        raise ValueError(f"min_words, max_words: expected 1 <= min_words <= max_words, got {min_words}, {max_words}")
    if min_count < 1:
        raise ValueError(f"min_count: expected at least 1, got {min_count}")
    name = str(name_or_path)
    built_in = name in CORPORA
    sentences = _distinct(CORPORA[name]() if built_in else _read(Path(name)), min_words, max_words)
    if len(sentences) < _FEWEST:
        raise DataError(
            f"{name}: expected at least {_FEWEST} different sentences of {min_words} to {max_words} words, "
            f"got {len(sentences)}"
        )
    try:
        if built_in:
            rest, test = split_indices(len(sentences), (TEST_FRACTION,), TEST_SEED)
            train, validation = split_indices(len(rest), (validation_fraction,), split_seed)
            train, validation = rest[train], rest[validation]
        else:
            train, validation, test = split_indices(len(sentences), (validation_fraction, test_fraction), split_seed)
        parts = [[sentences[index] for index in indices.tolist()] for indices in (train, validation, test)]
        vocabulary = Vocabulary.of(parts[0], min_count)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from error
    return _splits(name, parts, vocabulary, max_words + 1)


def check_sentences(rows: Tensor, num_words: int, *, name: str) -> None:
    """Check that ``rows [N, T]`` are sentences of a vocabulary of ``num_words``.

    Raises:
        DataError: for another dtype, a number that is no word's, or a row that is not words, one ``EOS`` and padding.
    """
    if rows.dtype != torch.int64:
        raise DataError(f"{name}: expected sentences, int64 numbers of words, got {rows.dtype}")
    low, high = (bound.item() for bound in torch.aminmax(rows))
    if low < 0 or high >= num_words:
        raise DataError(f"{name}: expected numbers of words from 0 to {num_words - 1}, got {low} to {high}")
    ends = rows == EOS
    after = (ends.cumsum(1) - ends.long()) > 0
    if not bool((ends.sum(1) == 1).all()) or bool((after != (rows == PAD)).any()):
        raise DataError(f"{name}: expected rows of words, one <eos> and then <pad>")


def _splits(name: str, parts: Sequence[Sequence[list[str]]], vocabulary: Vocabulary, length: int) -> DatasetSplits:
    seen: set[tuple[int, ...]] = set()
    splits: list[Split | None] = []
    for part in parts:
        rows = vocabulary.encode(part, length)
        keys = [tuple(row) for row in rows.tolist()]
        new = torch.tensor([not splits or key not in seen for key in keys], dtype=torch.bool)
        seen.update(keys)
        splits.append(Split(rows[new]) if new.any() else None)
    train, validation, test = splits
    assert train is not None
    return DatasetSplits(name, train, validation, test, vocabulary)


def _distinct(sentences: Iterable[str], min_words: int, max_words: int) -> list[list[str]]:
    """Tokenized sentences of the right length, each once, in order of their first appearance."""
    words = dict.fromkeys(tuple(tokenize(sentence)) for sentence in sentences)
    return [list(sentence) for sentence in words if min_words <= len(sentence) <= max_words]


def _read(path: Path) -> list[str]:
    path = path.expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}: expected UTF-8 text, got byte 0x{content[error.start]:02x} in line {line}; convert it, such as "
            f"with iconv -t utf-8"
        ) from error
    if not text.strip():
        raise DataError(f"{path}: expected one sentence a line, got an empty file")
    return text.splitlines()
