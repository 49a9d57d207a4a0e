"""Data: loading, checking, dividing, batching."""

from __future__ import annotations

from deepgen_fast.data.batches import Batches, InMemoryBatches, LoaderBatches, make_batches
from deepgen_fast.data.binarization import binarize
from deepgen_fast.data.checks import DataError
from deepgen_fast.data.load import load_dataset
from deepgen_fast.data.splits import DatasetSplits, Split

__all__ = [
    "Batches",
    "DataError",
    "DatasetSplits",
    "InMemoryBatches",
    "LoaderBatches",
    "Split",
    "binarize",
    "load_dataset",
    "make_batches",
]
