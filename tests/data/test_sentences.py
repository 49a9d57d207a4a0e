"""Sentences: tokens, vocabulary, division, the corpus that Python carries, and files that cannot be used."""

from __future__ import annotations

import random

import pytest
import torch

from deepgen_fast.data import DataError, Vocabulary, load_dataset, load_sentences
from deepgen_fast.data.vocabulary import BOS, EOS, PAD, SPECIAL, UNK, join_words, tokenize


def text_file(tmp_path, lines, name="text.txt"):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def lines() -> list[str]:
    """200 different sentences of 6 words, among them 60 that come twice, in another case."""
    draw = random.Random(0)
    nouns, verbs = ("cat", "dog", "bird", "fish", "horse"), ("sees", "likes", "meets", "hears")
    sentences = [f"The {a} {v} {n} {b}." for a in nouns for v in verbs for n in ("one", "two") for b in nouns]
    draw.shuffle(sentences)
    return sentences + [sentence.upper() for sentence in sentences[:60]]


def test_tokens_are_words_and_marks_in_lower_case():
    assert tokenize("Don't call f(x), it's a well-known BUG!") == [
        *("don't", "call", "f", "(", "x", ")", ",", "it's", "a", "well-known", "bug", "!")
    ]
    assert tokenize("Die Tür öffnet sich…") == ["die", "tür", "öffnet", "sich", "…"]
    assert tokenize(" \t ") == []


@pytest.mark.parametrize("sentence", ["see (and hear) this: one, two; three.", "why? because!", "don't [ever] stop"])
def test_joined_words_are_the_sentence_again(sentence):
    assert join_words(tokenize(sentence)) == sentence


def test_the_vocabulary_keeps_frequent_words_in_a_fixed_order():
    sentences = [["b", "a", "a"], ["c", "b", "rare"], ["c"]]
    vocabulary = Vocabulary.of(sentences, min_count=2)
    assert vocabulary.words == (*SPECIAL, "a", "b", "c")
    assert vocabulary == Vocabulary.of(reversed(sentences), 2) == Vocabulary(vocabulary.text)
    rows = vocabulary.encode(sentences, 5)
    assert rows.dtype == torch.int64
    assert rows.tolist() == [[5, 4, 4, EOS, PAD], [6, 5, UNK, EOS, PAD], [6, EOS, PAD, PAD, PAD]]
    assert vocabulary.decode(rows) == ["b a a", "c b <unk>", "c"]
    assert vocabulary.decode(torch.tensor([[BOS, 4, 5], [EOS, 4, 4]])) == ["a b", ""]


def test_a_wrong_vocabulary_is_refused():
    with pytest.raises(ValueError, match="expected <pad> <bos> <eos> <unk> and more words, got a b"):
        Vocabulary("a b")
    with pytest.raises(ValueError, match="and more words, got <pad> <bos> <eos> <unk>"):
        Vocabulary(SPECIAL)
    with pytest.raises(ValueError, match="every word once, got 'a' more than once"):
        Vocabulary((*SPECIAL, "a", "b", "a"))
    with pytest.raises(ValueError, match="without white space, got 'a b'"):
        Vocabulary((*SPECIAL, "a b"))
    with pytest.raises(ValueError, match="no word comes 3 times"):
        Vocabulary.of([["a", "a", "b"]], 3)
    vocabulary = Vocabulary((*SPECIAL, "a"))
    with pytest.raises(ValueError, match="expected 1 to 2 words, got 3"):
        vocabulary.encode([["a"] * 3], 3)
    with pytest.raises(ValueError, match="expected 0 to 4, got 5"):
        vocabulary.decode(torch.tensor([[5]]))
    with pytest.raises(ValueError, match=r"expected shape \[N, T\], got \[3\]"):
        vocabulary.decode(torch.zeros(3))


def test_no_sentence_stands_in_two_parts(tmp_path, lines):
    splits = load_dataset(text_file(tmp_path, lines), max_words=8, validation_fraction=0.2, test_fraction=0.1)
    parts = [set(map(tuple, part.images.tolist())) for part in (splits.train, splits.validation, splits.test)]
    assert [len(part) for part in parts] == [140, 40, 20]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert splits.event_shape == (9,) and splits.train.images.dtype == torch.int64
    again = load_dataset(text_file(tmp_path, lines, "again.txt"), max_words=8, validation_fraction=0.2)
    assert torch.equal(splits.train.images, again.train.images) and splits.vocabulary == again.vocabulary
    other = load_dataset(text_file(tmp_path, lines), max_words=8, validation_fraction=0.2, split_seed=1)
    assert not torch.equal(splits.test.images, other.test.images)


def test_held_out_sentences_that_unknown_words_make_the_same_are_left_out(tmp_path):
    # Every name comes once, so that all are unknown: what is left is one sentence, whatever part it is in.
    lines = [f"we all know name{i} well." for i in range(40)] + [
        f"number {i % 5} and {i} stand here." for i in range(40)
    ]
    splits = load_sentences(text_file(tmp_path, lines), min_count=2, test_fraction=0.3)
    seen = set(map(tuple, splits.train.images.tolist()))
    assert len(splits.train) > 40
    assert not any(tuple(row) in seen for part in (splits.validation, splits.test) for row in part.images.tolist())


def test_words_are_counted_in_the_training_part_alone(tmp_path, lines):
    splits = load_sentences(text_file(tmp_path, [f"{line[:-1]} word{i}." for i, line in enumerate(lines)]), min_count=1)
    known = {word for row in splits.vocabulary.decode(splits.train.images) for word in tokenize(row)}
    assert known == set(splits.vocabulary.words[len(SPECIAL) :])
    assert (splits.test.images == UNK).any(1).all() and not (splits.train.images == UNK).any()


def test_long_and_short_sentences_are_left_out(tmp_path, lines):
    extra = [f"{'very ' * i}long." for i in range(30)]
    splits = load_sentences(text_file(tmp_path, [*lines, *extra]), min_words=6, max_words=9, min_count=1)
    lengths = torch.cat([(part.images != PAD).sum(1) for part in (splits.train, splits.validation, splits.test)]) - 1
    assert lengths.min() == 6 and lengths.max() == 9
    assert len(lengths) == 200 + 4


def test_the_corpus_that_python_carries():
    splits = load_dataset("pydoc")
    assert len(splits.train) > 4000 and len(splits.test) > 400 and 1500 < len(splits.vocabulary) < 8000
    everything = torch.cat([splits.train.images, splits.validation.images, splits.test.images])
    assert (everything == UNK).sum() < 0.05 * (everything != PAD).sum()
    words = " ".join(splits.vocabulary.decode(splits.train.images))
    assert "_" not in words and ">>>" not in words
    # The held-out tenth does not move with the seed of the division.
    other = load_dataset("pydoc", split_seed=3)
    assert len(other.test) == pytest.approx(len(splits.test), abs=20)
    held_out = set(splits.vocabulary.decode(splits.test.images))
    assert held_out.isdisjoint(splits.vocabulary.decode(splits.train.images))
    assert not torch.equal(other.train.images, splits.train.images)


def test_files_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match=r"missing.txt: cannot be read: No such file"):
        load_dataset(tmp_path / "missing.txt")
    (tmp_path / "empty.txt").write_text(" \n\n")
    with pytest.raises(DataError, match="expected one sentence a line, got an empty file"):
        load_dataset(tmp_path / "empty.txt")
    (tmp_path / "latin.txt").write_bytes(b"a first line\na caf\xe9 at noon\n")
    with pytest.raises(DataError, match="expected UTF-8 text, got byte 0xe9 in line 2"):
        load_dataset(tmp_path / "latin.txt")
    few = text_file(tmp_path, ["the same old sentence again."] * 50 + ["short."])
    with pytest.raises(DataError, match="at least 10 different sentences of 4 to 20 words, got 1"):
        load_dataset(few)
    rare = text_file(tmp_path, [f"a{i} b{i} c{i} d{i}" for i in range(50)])
    with pytest.raises(DataError, match="min_count: no word comes 2 times"):
        load_dataset(rare)
    with pytest.raises(DataError, match="are of images, and these are sentences"):
        load_dataset(rare, image_size=28)
    with pytest.raises(ValueError, match="expected 1 <= min_words <= max_words, got 5, 4"):
        load_dataset(rare, min_words=5, max_words=4)
    with pytest.raises(ValueError, match="min_count: expected at least 1, got 0"):
        load_dataset(rare, min_count=0)
