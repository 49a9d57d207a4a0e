"""Data: loading, checking, dividing, batching."""

from __future__ import annotations

from deepgen_fast.data.batches import Batches, InMemoryBatches, LoaderBatches, Shard, make_batches
from deepgen_fast.data.binarization import binarize
from deepgen_fast.data.checks import DataError
from deepgen_fast.data.labels import UNLABELED, LabeledExamples, check_labels, keep_labels
from deepgen_fast.data.load import load_dataset
from deepgen_fast.data.mixtures import GaussianMixture, grid_of_gaussians, ring_of_gaussians
from deepgen_fast.data.sentences import load_sentences
from deepgen_fast.data.splits import DatasetSplits, Split
from deepgen_fast.data.vocabulary import Vocabulary

__all__ = [
    "UNLABELED",
    "Batches",
    "DataError",
    "DatasetSplits",
    "GaussianMixture",
    "InMemoryBatches",
    "LabeledExamples",
    "LoaderBatches",
    "Shard",
    "Split",
    "Vocabulary",
    "binarize",
    "check_labels",
    "grid_of_gaussians",
    "keep_labels",
    "load_dataset",
    "load_sentences",
    "make_batches",
    "ring_of_gaussians",
]
