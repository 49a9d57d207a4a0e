from __future__ import annotations

import pytest
import torch
from torch.utils.data import TensorDataset

from deepgen_fast.data import DataError, InMemoryBatches, LoaderBatches, binarize, make_batches


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int) -> torch.Tensor:
    return torch.arange(float(count)).unsqueeze(1).repeat(1, 3)


def build(kind: str, count: int, *arguments, **options):
    data = rows(count)
    if kind == "memory":
        return InMemoryBatches(data, *arguments, **options)
    return LoaderBatches(TensorDataset(data), *arguments, **options)


@pytest.mark.parametrize("kind", ["memory", "loader"])
def test_every_example_once_and_the_last_batch_kept(kind):
    batches = build(kind, 23, 5, generator=seeded())
    seen = list(batches)
    assert len(batches) == 5
    assert [len(batch) for batch in seen] == [5, 5, 5, 5, 3]
    order = torch.cat(seen)[:, 0]
    assert torch.equal(order.sort().values, torch.arange(23.0))
    assert not torch.equal(order, torch.arange(23.0))
    assert not torch.equal(torch.cat(list(batches))[:, 0], order)


@pytest.mark.parametrize("kind", ["memory", "loader"])
def test_drop_last_and_no_shuffle(kind):
    batches = build(kind, 23, 5, shuffle=False, drop_last=True)
    assert len(batches) == 4
    assert torch.equal(torch.cat(list(batches))[:, 0], torch.arange(20.0))


@pytest.mark.parametrize("kind", ["memory", "loader"])
def test_an_epoch_can_begin_in_the_middle(kind):
    whole = list(build(kind, 23, 5, generator=seeded()).epoch())
    rest = list(build(kind, 23, 5, generator=seeded()).epoch(start=2))
    assert len(rest) == 3
    for expected, batch in zip(whole[2:], rest, strict=True):
        assert torch.equal(expected, batch)


def test_both_kinds_give_the_same_batches():
    memory, loader = (list(build(kind, 23, 5, generator=seeded(3))) for kind in ("memory", "loader"))
    for first, second in zip(memory, loader, strict=True):
        assert torch.equal(first, second)


def test_worker_processes_give_the_same_batches():
    alone = list(build("loader", 11, 4, generator=seeded()))
    helped = list(build("loader", 11, 4, generator=seeded(), num_workers=1))
    for first, second in zip(alone, helped, strict=True):
        assert torch.equal(first, second)


def test_bytes_become_pixels_a_batch_at_a_time():
    pixels = torch.tensor([[0], [51], [255]], dtype=torch.uint8)
    (batch,) = InMemoryBatches(pixels, 3, shuffle=False)
    assert torch.equal(batch, torch.tensor([[0.0], [0.2], [1.0]]))
    assert pixels.tolist() == [[0], [51], [255]]


def test_a_batch_is_a_copy_when_shuffled():
    data = rows(4)
    for batch in InMemoryBatches(data, 2, generator=seeded()):
        batch.zero_()
    assert torch.equal(data, rows(4))


def test_make_batches_takes_what_holds_the_examples():
    assert isinstance(make_batches(rows(4), 2, shuffle=False), InMemoryBatches)
    assert isinstance(make_batches(TensorDataset(rows(4)), 2, shuffle=False), LoaderBatches)
    with pytest.raises(TypeError, match=r"data: expected a tensor .* or a map-style Dataset, got generator"):
        make_batches((row for row in rows(4)), 2, shuffle=False)


@pytest.mark.parametrize("kind", ["memory", "loader"])
def test_wrong_sizes_are_named(kind):
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        build(kind, 4, 0)
    with pytest.raises(DataError, match="no examples to make batches of"):
        build(kind, 0, 2)
    with pytest.raises(DataError, match="4 examples are fewer than batch_size 5"):
        build(kind, 4, 5, drop_last=True)


def test_preview():
    assert torch.equal(build("memory", 4, 2).preview(), rows(4))
    assert torch.equal(build("loader", 4, 2).preview(), rows(1))
    with pytest.raises(TypeError, match="dataset: expected examples that are tensors, got int"):
        LoaderBatches([3, 4], 2).preview()


def test_in_memory_batches_need_a_batch_dimension():
    with pytest.raises(ValueError, match=r"tensor: expected shape \[N, \*event\], got \[4\]"):
        InMemoryBatches(torch.zeros(4), 2)


def test_binarize():
    x = torch.tensor([0.0, 0.3, 0.5, 1.0])
    assert binarize(x) is x
    assert binarize(x, "threshold").tolist() == [0.0, 0.0, 1.0, 1.0]
    many = x.expand(20000, 4)
    drawn = binarize(many, "stochastic", seeded())
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), x, atol=0.015, rtol=0)
    assert torch.equal(drawn, binarize(many, "stochastic", seeded()))
    with pytest.raises(ValueError, match="mode: expected one of none, threshold, stochastic, got 'dither'"):
        binarize(x, "dither")
