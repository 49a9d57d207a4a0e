"""What objectives of semi-supervised systems have in common: a cross entropy of the examples that have a label."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.example import Example


def label_parts(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """``cross_entropy``, with its graph, and ``accuracy``, of ``logits [B, K]`` and ``labels [B]``; none of no rows."""
    if not len(labels):
        return {}
    accuracy = (logits.argmax(1) == labels).to(logits.dtype).mean()
    return {"cross_entropy": F.cross_entropy(logits, labels), "accuracy": accuracy}


def labeled_of(logits: Tensor, example: Example) -> tuple[Tensor, Tensor]:
    """Logits and labels of the examples that have one."""
    labels = torch.empty(0) if isinstance(example, Tensor) else example[1]
    has_one = labels >= 0
    return logits[: len(labels)][has_one], labels[has_one]
