"""Batches of examples: by tensor indexing where the data is in memory, through a DataLoader where not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepgen_fast.data.checks import DataError


class Batches(Protocol):
    """An epoch's batches; ``epoch`` can begin in the middle, for resuming.

    A batch is ``[b, *event]``, or with labels the pair of it and ``[b]``; ``take`` makes one of the examples at ``rows
    [b]``, whatever the order of the epoch.

    ``preview`` is what can be checked before training: all examples in memory, or the first that is read.
    """

    batch_size: int
    num_examples: int
    labels: Tensor | None

    def __len__(self) -> int: ...

    def epoch(self, start: int = 0) -> Iterator[Any]: ...

    def take(self, rows: Tensor) -> Any: ...

    def preview(self) -> Tensor: ...


class Shard(NamedTuple):
    """Which rows of every batch are read here: the ``rank``-th of ``size`` nearly equal parts."""

    rank: int = 0
    size: int = 1

    def rows(self, count: int) -> slice:
        """Of a batch of ``count``."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)


WHOLE = Shard()


def _check_sizes(count: int, batch_size: int, drop_last: bool, labels: Tensor | None) -> None:
    if labels is not None and labels.shape != (count,):
        raise DataError(f"labels: expected one an example, [{count}], got {list(labels.shape)}")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    if count == 0:
        raise DataError("no examples to make batches of")
    if drop_last and count < batch_size:
        raise DataError(f"drop_last leaves no batch: {count} examples are fewer than batch_size {batch_size}")


def _count_batches(count: int, batch_size: int, drop_last: bool) -> int:
    return count // batch_size if drop_last else -(-count // batch_size)


class InMemoryBatches:
    """Batches of a tensor, one ``index_select`` each: no per-example Python, no worker processes.

    Replaces ``DataLoader(TensorDataset(tensor), batch_size, shuffle=True)``.

    Args:
        tensor: ``[N, *event]``. Batches have its dtype and device, except that uint8 pixels come as float32
            divided by 255: bytes take a quarter of the memory and are turned into numbers a batch at a time.
        batch_size: examples a batch.
        shuffle: whether every epoch takes the examples in a new order, drawn from ``generator``.
        generator: on the CPU; torch's default generator when None.
        drop_last: whether to leave out a last, smaller batch. Off by default: no example is wasted.
        shard: the part of each batch to give, where processes share it.
        labels: int64 ``[N]``; batches are then pairs of examples and labels.

    Raises:
        ValueError: for a batch size below 1.
        DataError: when there is no batch to make.
    """

    def __init__(
        self,
        tensor: Tensor,
        batch_size: int,
        shuffle: bool = True,
        generator: torch.Generator | None = None,
        drop_last: bool = False,
        shard: Shard = WHOLE,
        labels: Tensor | None = None,
    ) -> None:
        if tensor.dim() < 2:
            raise ValueError(f"tensor: expected shape [N, *event], got {list(tensor.shape)}")
        _check_sizes(len(tensor), batch_size, drop_last, labels)
        self.tensor = tensor
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator
        self.drop_last = drop_last
        self.shard = shard
        self.labels = labels
        self.num_examples = len(tensor)

    def __len__(self) -> int:
        return _count_batches(self.num_examples, self.batch_size, self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        return self.epoch()

    def epoch(self, start: int = 0) -> Iterator[Any]:
        """One epoch from batch ``start`` on. The order is drawn whole, so it does not depend on ``start``."""
        order = None
        if self.shuffle:
            order = torch.randperm(self.num_examples, generator=self.generator).to(self.tensor.device)
        for index in range(start, len(self)):
            start_row = index * self.batch_size
            rows = self.shard.rows(min(self.batch_size, self.num_examples - start_row))
            rows = slice(start_row + rows.start, start_row + rows.stop)
            yield self.take(rows if order is None else order[rows])

    def take(self, rows: Tensor | slice) -> Any:
        """The batch of the examples at ``rows``."""
        batch = self.tensor[rows] if isinstance(rows, slice) else torch.index_select(self.tensor, 0, rows)
        batch = batch.to(torch.float32).div_(255.0) if batch.dtype == torch.uint8 else batch
        return batch if self.labels is None else (batch, self.labels[rows])

    def preview(self) -> Tensor:
        """All examples, ``[N, *event]``."""
        return self.tensor


class LoaderBatches:
    """Batches of a ``Dataset`` through a ``DataLoader``, for data that does not fit in memory.

    Args:
        dataset: item i is an example ``[*event]``, or a tuple that begins with one.
        batch_size, shuffle, generator, drop_last, shard, labels: as in ``InMemoryBatches``.
        num_workers: processes that read ahead; 0 reads in this one.
        device: where batches go.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int,
        shuffle: bool = True,
        generator: torch.Generator | None = None,
        drop_last: bool = False,
        num_workers: int = 0,
        device: torch.device | str = "cpu",
        shard: Shard = WHOLE,
        labels: Tensor | None = None,
    ) -> None:
        self.num_examples = len(dataset)  # type: ignore[arg-type]
        _check_sizes(self.num_examples, batch_size, drop_last, labels)
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.device = torch.device(device)
        self.shard = shard
        self.labels = labels

    def __len__(self) -> int:
        return _count_batches(self.num_examples, self.batch_size, self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        return self.epoch()

    def epoch(self, start: int = 0) -> Iterator[Any]:
        """One epoch from batch ``start`` on; skipped batches are not read."""
        if self.shuffle:
            order = torch.randperm(self.num_examples, generator=self.generator).tolist()
        else:
            order = list(range(self.num_examples))
        chunks = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(start, len(self))]
        chunks = [chunk[self.shard.rows(len(chunk))] for chunk in chunks]
        # The loader draws its workers' seed from a generator at every epoch; an own one leaves ours alone.
        loader_seed = torch.Generator().manual_seed(0)
        loader: DataLoader[Any] = DataLoader(
            self.dataset,
            batch_sampler=chunks,
            num_workers=self.num_workers,
            pin_memory=self.device.type == "cuda",
            generator=loader_seed,
        )
        for item, chunk in zip(loader, chunks, strict=True):
            yield self._with_labels(item[0] if isinstance(item, tuple | list) else item, chunk)

    def take(self, rows: Tensor) -> Any:
        """The batch of the examples at ``rows``, read one by one."""
        return self._with_labels(torch.stack([self._example(row) for row in rows.tolist()]), rows)

    def _with_labels(self, batch: Tensor, rows: Any) -> Any:
        batch = batch.to(self.device, non_blocking=True)
        return batch if self.labels is None else (batch, self.labels[rows].to(self.device))

    def _example(self, row: int) -> Tensor:
        item = self.dataset[row]
        example = item[0] if isinstance(item, tuple | list) else item
        if not isinstance(example, Tensor):
            raise TypeError(f"dataset: expected examples that are tensors, got {type(example).__name__}")
        return example

    def preview(self) -> Tensor:
        """The first example, ``[1, *event]``."""
        return self._example(0).unsqueeze(0)


def make_batches(
    data: Tensor | Dataset[Any],
    batch_size: int,
    *,
    shuffle: bool,
    generator: torch.Generator | None = None,
    drop_last: bool = False,
    num_workers: int = 0,
    device: torch.device | str = "cpu",
    shard: Shard = WHOLE,
    labels: Tensor | None = None,
) -> Batches:
    """Batches of a tensor ``[N, *event]``, moved to ``device`` whole, or of a map-style Dataset.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(data, Tensor):
        labels = None if labels is None else labels.to(device)
        return InMemoryBatches(data.to(device), batch_size, shuffle, generator, drop_last, shard, labels)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return LoaderBatches(data, batch_size, shuffle, generator, drop_last, num_workers, device, shard, labels)
    raise TypeError(f"data: expected a tensor [N, *event] or a map-style Dataset, got {type(data).__name__}")
