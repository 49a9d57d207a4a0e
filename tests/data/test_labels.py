"""Labels of a part of the examples: the same ones for a seed, as many as asked for, and batches of them alone."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import TensorDataset

from deepgen_fast.data import UNLABELED, DataError, LabeledExamples, Split, check_labels, keep_labels, make_batches
from deepgen_fast.random import BatchNoise

IMAGES = torch.arange(60.0).unsqueeze(1)
LABELS = torch.arange(60) % 4 % 3  # twice as many zeros
SPLIT = Split(IMAGES, LABELS)


def test_as_many_of_each_class_as_asked_for_and_the_same_for_a_seed():
    few = keep_labels(SPLIT, 5, seed=1)
    assert few.images is IMAGES
    kept = few.labels != UNLABELED
    assert torch.equal(few.labels[kept], LABELS[kept])
    assert few.labels[kept].bincount().tolist() == [5, 5, 5]
    torch.manual_seed(9)
    assert torch.equal(few.labels, keep_labels(SPLIT, 5, seed=1).labels)
    assert not torch.equal(few.labels, keep_labels(SPLIT, 5, seed=2).labels)


def test_more_labels_are_more_of_the_same_and_no_class_runs_out():
    few, more, most = (keep_labels(SPLIT, count, seed=1).labels for count in (5, 8, 1000))
    assert torch.equal(more[few != UNLABELED], few[few != UNLABELED])
    assert torch.equal(most, LABELS)
    assert (keep_labels(Split(IMAGES), 0).labels == UNLABELED).all()


def test_what_cannot_be_kept_is_named():
    with pytest.raises(DataError, match=r"photos: has no labels, so none can be kept \(3 a class were asked for\)"):
        keep_labels(Split(IMAGES), 3, name="photos")
    with pytest.raises(ValueError, match="per_class: expected 0 or more, got -1"):
        keep_labels(SPLIT, -1)


@pytest.mark.parametrize("kind", ["memory", "loader"])
def test_only_labeled_examples_are_drawn_all_of_them_and_in_shares(kind):
    few = keep_labels(SPLIT, 3).labels
    data = IMAGES if kind == "memory" else TensorDataset(IMAGES)
    labeled = LabeledExamples(make_batches(data, 8, shuffle=True, labels=few))
    assert len(labeled) == 9

    def draw(rows=None, count=200):
        return labeled.draw(count, BatchNoise(torch.Generator().manual_seed(0), rows))

    x, y = draw()
    assert torch.equal(y, LABELS[x[:, 0].long()])
    assert sorted(x[:, 0].unique().tolist()) == (few != UNLABELED).nonzero().flatten().tolist()
    parts = [draw((200, rows), rows.stop - rows.start)[0] for rows in (slice(0, 70), slice(70, 200))]
    assert torch.equal(torch.cat(parts), x)


def test_without_labels_there_is_nothing_to_draw():
    assert len(LabeledExamples(make_batches(IMAGES, 8, shuffle=False))) == 0
    assert not LabeledExamples(make_batches(IMAGES, 8, shuffle=False, labels=torch.full((60,), UNLABELED)))


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 1, -1], {}, "data: 1 of 3 examples are unlabeled .-1.; this model needs all labels"),
        ([0, 1, -2], {"unlabeled": True}, "data: expected labels from 0 to 1, .*got -2 to 1"),
        ([0, 1, 2], {}, "data: expected labels from 0 to 1, as model.num_classes says, got 0 to 2"),
        ([0.0, 1.0], {}, "data: expected one integer label an example, got torch.float32"),
    ],
)
def test_labels_out_of_range_are_named(labels, options, message):
    with pytest.raises(DataError, match=message):
        check_labels(torch.tensor(labels), **{"num_classes": 2, "unlabeled": False, "name": "data", **options})
    check_labels(torch.tensor([0, 1, -1]), num_classes=2, unlabeled=True, name="data")
