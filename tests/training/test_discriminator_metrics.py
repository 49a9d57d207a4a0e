"""Means over an epoch weigh its batches by their examples."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.objectives import AdversarialLoss
from deepgen_fast.training.gan.discriminator_metrics import DiscriminatorMetrics


def loss(value: float, rows: int, **parts: float) -> AdversarialLoss:
    logits = torch.full((rows,), value)
    return AdversarialLoss(torch.tensor(value), logits, -logits, {k: torch.tensor(v) for k, v in parts.items()})


def test_means_of_unequal_batches() -> None:
    metrics = DiscriminatorMetrics({"generator": ("part",)}, 0.0, torch.device("cpu"))
    for value, rows in ((1.0, 6), (4.0, 2)):
        metrics.sums += metrics.of_discriminator(loss(value, rows))
        metrics.sums += metrics.of_generator(loss(value + 1, rows, part=10 * value))
    record = metrics.record()
    assert record["discriminator_loss"] == pytest.approx(1.75)
    assert record["generator_loss"] == pytest.approx(2.75)
    assert record["generator_part"] == pytest.approx(17.5)
    sigmoid = torch.sigmoid(torch.tensor([1.0, 4.0])).tolist()
    assert record["discriminator_real"] == pytest.approx((6 * sigmoid[0] + 2 * sigmoid[1]) / 8)
    assert record["discriminator_real_accuracy"] == record["discriminator_fake_accuracy"] == 1.0


def test_the_loss_of_a_step() -> None:
    metrics = DiscriminatorMetrics({}, 0.0, torch.device("cpu"))
    assert metrics.discriminator_loss(metrics.of_discriminator(loss(0.5, 3))) == pytest.approx(0.5)
    assert metrics.generator_loss(metrics.of_generator(loss(0.5, 3))) == pytest.approx(0.5)
