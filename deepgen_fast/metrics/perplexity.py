"""Perplexity: how many words a model of sentences is, on average, undecided between."""

from __future__ import annotations

import math

from torch import Tensor

from deepgen_fast.data.vocabulary import PAD


def perplexity_per_word(log_likelihood: float, x: Tensor) -> float:
    """exp(-log p(x) / number of words), the end of each sentence counted as one.

    Args:
        log_likelihood: of all sentences together, in nats, or a bound on it: a lower one gives an upper bound.
        x: int64 ``[N, T]``, words, ``<eos>``, padding.

    Raises:
        ValueError: when ``x`` holds no word.
    """
    words = int((x != PAD).sum())
    if words == 0:
        raise ValueError(f"x: expected sentences, got no word in {list(x.shape)}")
    return math.exp(-log_likelihood / words)
