"""How two players stand: sums over an epoch's steps, and the means that its record shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.metrics.evaluation import evaluation_mode
from deepgen_fast.objectives import AdversarialLoss, event_of
from deepgen_fast.random import BatchNoise
from deepgen_fast.training.gan.discriminator_evaluation import judging

# Sums over examples. Of the discriminator's steps, first its loss, as the loop wants it; then of the generator's.
_DISCRIMINATOR = (
    "discriminator_loss",
    "discriminator_real",
    "discriminator_fake",
    "discriminator_real_accuracy",
    "discriminator_fake_accuracy",
    "discriminator_real_logit",
    "discriminator_fake_logit",
)
_GENERATOR = ("generator_loss",)


# Not recorded where a logit by itself decides nothing.
_ACCURACIES = ("discriminator_real_accuracy", "discriminator_fake_accuracy")


def _judgment(loss: AdversarialLoss, threshold: float | None) -> Tensor:
    """Sums over examples of what ``_DISCRIMINATOR`` names, float64."""
    assert loss.real_logits is not None
    real, fake = loss.real_logits.double(), loss.fake_logits.double()
    limit = 0.0 if threshold is None else threshold
    return torch.stack(
        [
            loss.value.detach().double() * len(real),
            torch.sigmoid(real).sum(),
            torch.sigmoid(fake).sum(),
            (real > limit).sum(),
            (fake <= limit).sum(),
            real.sum(),
            fake.sum(),
        ]
    )


def _means(sums: list[float], count: float, threshold: float | None) -> dict[str, float]:
    return {
        name: value / count
        for name, value in zip(_DISCRIMINATOR, sums, strict=True)
        if threshold is not None or name not in _ACCURACIES
    }


def evaluate_discriminator(model: Any, objective: Any, batches: Iterable[Any], noise: BatchNoise) -> dict[str, float]:
    """How the discriminator judges examples beside as many generated ones, in batches as in training.

    Args:
        model: a ``GAN``.
        objective: whose loss is reported, without penalties.
        batches: of data ``[b, *event_shape]``, or pairs with labels; one of a single example is left out, as batch
            norm cannot take it.
        noise: decides what is generated.

    Returns:
        Means by the names that an epoch's record has: ``discriminator_loss``, ``discriminator_real`` (D(x)),
        ``discriminator_fake`` (D(G(z))), ..., and parts of the loss that are not only of training. Empty when no batch
        had two examples.
    """
    plain = objective.for_validation()
    sums = torch.zeros(len(_DISCRIMINATOR), dtype=torch.float64)
    parts: dict[str, tuple[float, int]] = {}
    count = 0
    with judging(model):
        for batch in batches:
            rows = len(event_of(batch))
            if rows < 2:
                continue
            real = model.from_data(batch)
            with evaluation_mode(model.generator):
                fake = model.generate(model.draw_latent(rows, noise, real))
            loss = plain.discriminator_loss(model, real, fake)
            sums += _judgment(loss, objective.threshold).cpu()
            for name, value in loss.parts.items():
                total, seen = parts.get(name, (0.0, 0))
                parts[name] = total + float(value) * rows, seen + rows
            count += len(loss.fake_logits)  # of some models several an example
    found = _means(sums.tolist(), count, objective.threshold) if count else {}
    return found | {f"discriminator_{name}": total / seen for name, (total, seen) in parts.items()}


class DiscriminatorMetrics:
    """Sums of the running epoch.

    Args:
        parts: names of the further scalars of each player's loss, ``{"discriminator": (...), "generator": (...)}``.
        threshold: the logit above which an example is taken for real; None where there is none.
        device: of the sums.
    """

    def __init__(self, parts: Mapping[str, Sequence[str]], threshold: float | None, device: torch.device) -> None:
        self._threshold = threshold
        self._parts = [(player, name) for player in ("discriminator", "generator") for name in parts.get(player, ())]
        self._rows = len(_DISCRIMINATOR) + 1 + len(_GENERATOR) + 1
        self.sums = torch.zeros(self._rows + 2 * len(self._parts), dtype=torch.float64, device=device)

    def of_discriminator(self, loss: AdversarialLoss) -> Tensor:
        """What a discriminator's step adds to ``sums``."""
        rows = float(len(loss.fake_logits))
        own = _judgment(loss, self._threshold)
        head = torch.cat([own, own.new_tensor([rows, 0.0, 0.0])])
        return self._with_parts(head, loss, "discriminator", rows)

    def of_generator(self, loss: AdversarialLoss) -> Tensor:
        """What a generator's step adds to ``sums``."""
        rows = float(len(loss.fake_logits))
        head = loss.value.new_zeros(self._rows, dtype=torch.float64)
        head[-2] = loss.value.detach() * rows
        head[-1] = rows
        return self._with_parts(head, loss, "generator", rows)

    def _with_parts(self, head: Tensor, loss: AdversarialLoss, player: str, rows: float) -> Tensor:
        if not self._parts:
            return head
        tail = head.new_zeros(2 * len(self._parts))
        for index, (owner, name) in enumerate(self._parts):
            if owner == player and name in loss.parts:
                tail[2 * index] = loss.parts[name].double() * rows
                tail[2 * index + 1] = rows
        return torch.cat([head, tail])

    def discriminator_loss(self, added: Tensor) -> Tensor:
        """Mean loss of a discriminator's step, from what it adds."""
        return added[0] / added[len(_DISCRIMINATOR)]

    def generator_loss(self, added: Tensor) -> Tensor:
        """Mean loss of a generator's step, from what it adds."""
        return added[self._rows - 2] / added[self._rows - 1]

    def record(self) -> dict[str, float]:
        """Means over the epoch by name; what no step of the epoch has computed is left out."""
        values = self.sums.tolist()
        count, generated = values[len(_DISCRIMINATOR)], values[self._rows - 1]
        record = _means(values[: len(_DISCRIMINATOR)], count, self._threshold)
        if generated:
            record["generator_loss"] = values[self._rows - 2] / generated
        for index, (player, name) in enumerate(self._parts):
            total, rows = values[self._rows + 2 * index : self._rows + 2 * index + 2]
            if rows:
                record[f"{player}_{name}"] = total / rows
        return record
