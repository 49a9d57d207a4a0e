from __future__ import annotations

import pytest
import torch

from deepgen_fast.data import DataError, Split, load_dataset
from deepgen_fast.data.splits import split_indices, split_whole


def test_parts_are_disjoint_and_complete():
    parts = split_indices(103, (0.1, 0.2), seed=4)
    assert [len(part) for part in parts] == [72, 10, 21]
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(103))


def test_every_class_is_divided_in_proportion():
    labels = torch.arange(3).repeat_interleave(torch.tensor([50, 100, 200]))
    rest, part = split_indices(350, (0.1,), seed=0, labels=labels)
    assert torch.bincount(labels[part]).tolist() == [5, 10, 20]
    assert torch.bincount(labels[rest]).tolist() == [45, 90, 180]


def test_the_seed_decides_and_the_global_generator_does_not():
    torch.manual_seed(1)
    first = split_indices(50, (0.2,), seed=0)[1]
    torch.manual_seed(2)
    assert torch.equal(split_indices(50, (0.2,), seed=0)[1], first)
    assert not torch.equal(split_indices(50, (0.2,), seed=1)[1], first)


def test_too_few_examples_are_refused():
    with pytest.raises(DataError, match=r"tiny: fractions: \[0.5, 0.5\] of 2 examples leave none to train on"):
        split_whole("tiny", Split(torch.zeros(2, 3)), validation_fraction=0.5, test_fraction=0.5, split_seed=0)
    with pytest.raises(ValueError, match=r"fractions: expected numbers in \[0, 1\)"):
        split_indices(10, (1.0,), seed=0)


def test_mnist5k():
    splits = load_dataset("mnist5k")
    assert splits.event_shape == (1, 28, 28)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [4050, 450, 500]
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.dtype == torch.float32
        assert (part.images.min().item(), part.images.max().item()) == (0.0, 1.0)
    assert torch.bincount(splits.test.labels).tolist() == [50] * 10
    assert torch.bincount(splits.validation.labels).tolist() == [45] * 10
    # The held-out digits are the same whatever the options.
    other = load_dataset("mnist5k", validation_fraction=0.0, split_seed=9)
    assert other.validation is None
    assert len(other.train) == 4500
    assert torch.equal(other.test.images, splits.test.images)


def test_digits():
    splits = load_dataset("digits")
    assert splits.event_shape == (1, 8, 8)
    assert sum(len(part) for part in (splits.train, splits.validation, splits.test)) == 1797
    assert splits.train.images.max().item() == 1.0


def test_a_split_holds_one_kind_of_data():
    with pytest.raises(ValueError, match="exactly one of images and dataset"):
        Split(None)
