"""Words and their numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

PAD, BOS, EOS, UNK = range(4)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
"""Words 0 to 3 of every vocabulary: padding, begin and end of a sentence, a word that is not in the vocabulary."""

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")  # \u2019: the typographic apostrophe
_CLOSING = frozenset(".,;:!?)]}%…")
_OPENING = frozenset("([{")


def tokenize(sentence: str) -> list[str]:
    """Words in lower case, each mark of punctuation a word of its own; "don't" and "well-known" are one word.

    Depends on nothing but the text: no locale, no model, no list of abbreviations.
    """
    return _WORD.findall(sentence.lower())


def join_words(words: Iterable[str]) -> str:
    """Words as a sentence, punctuation where it belongs; ``tokenize`` of it gives the words again."""
    text, after_opening = "", True
    for word in words:
        text += word if after_opening or word in _CLOSING else f" {word}"
        after_opening = word in _OPENING
    return text


class Vocabulary:
    """The words that a model knows: word i is ``words[i]``.

    Args:
        words: ``SPECIAL`` and then every other word once. In one string, divided by white space, which no word holds:
            ``Vocabulary(vocabulary.text)`` is the same vocabulary.

    Raises:
        ValueError: when the first are not ``SPECIAL``, a word comes twice, or holds white space, or there is none
            beside them.
    """

    def __init__(self, words: Sequence[str] | str) -> None:
        self.words = tuple(words.split() if isinstance(words, str) else words)
        if self.words[: len(SPECIAL)] != SPECIAL or len(self.words) == len(SPECIAL):
            raise ValueError(
                f"words: expected {' '.join(SPECIAL)} and more words, got {' '.join(self.words[:5]) or 'none'}"
            )
        self._numbers = {word: number for number, word in enumerate(self.words)}
        if len(self._numbers) < len(self.words):
            twice = next(word for word, count in Counter(self.words).items() if count > 1)
            raise ValueError(f"words: expected every word once, got {twice!r} more than once")
        if odd := [word for word in self.words if word.split() != [word]]:
            raise ValueError(f"words: expected words without white space, got {odd[0]!r}")

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], min_count: int = 2) -> Vocabulary:
        """Words of tokenized sentences that come at least ``min_count`` times: the frequent first, then by spelling.

        Raises:
            ValueError: when ``min_count`` is below 1, or no word comes that often.
        """
        if min_count < 1:
            raise ValueError(f"min_count: expected at least 1, got {min_count}")
        counts = Counter(word for sentence in sentences for word in sentence)
        frequent = sorted((-count, word) for word, count in counts.items() if count >= min_count)
        if not frequent:
            raise ValueError(f"min_count: no word comes {min_count} times")
        return cls((*SPECIAL, *(word for _, word in frequent)))

    def __len__(self) -> int:
        return len(self.words)

    @property
    def text(self) -> str:
        """All words in one string, for a config file."""
        return " ".join(self.words)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} words)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, sentences: Sequence[Sequence[str]], length: int) -> Tensor:
        """Tokenized sentences as int64 ``[N, length]``: their words, ``EOS``, then ``PAD``; ``UNK`` for unknown words.

        Raises:
            ValueError: for a sentence of no words or of more than ``length - 1``.
        """
        numbers = torch.full((len(sentences), length), PAD, dtype=torch.int64)
        for row, sentence in enumerate(sentences):
            if not 0 < len(sentence) < length:
                raise ValueError(f"sentences: expected 1 to {length - 1} words, got {len(sentence)}: {sentence}")
            numbers[row, : len(sentence) + 1] = torch.tensor([*(self._numbers.get(w, UNK) for w in sentence), EOS])
        return numbers

    def pairs(self, given: Tensor, made: Tensor) -> str:
        """Sentences ``[N, T]``, each above what was made of it, which is indented."""
        lines = zip(self.decode(given), self.decode(made), strict=True)
        return "\n".join(f"{above}\n    {below}" for above, below in lines)

    def decode(self, numbers: Tensor) -> list[str]:
        """Sentences of ``numbers [N, T]``: each up to its ``EOS`` or padding, ``<bos>`` left out.

        Raises:
            ValueError: for another shape, or a number that is no word's.
        """
        if numbers.dim() != 2:
            raise ValueError(f"numbers: expected shape [N, T], got {list(numbers.shape)}")
        sentences = []
        for row in numbers.tolist():
            words = []
            for number in row:
                if number in (EOS, PAD):
                    break
                if not 0 <= number < len(self.words):
                    raise ValueError(f"numbers: expected 0 to {len(self.words) - 1}, got {number}")
                if number != BOS:
                    words.append(self.words[number])
            sentences.append(join_words(words))
        return sentences
