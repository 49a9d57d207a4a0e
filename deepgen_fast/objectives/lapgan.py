"""What the players of a LAPGAN minimize: a game at each level of the pyramid, their losses summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepgen_fast.example import Example
from deepgen_fast.objectives.gan import AdversarialLoss, AdversarialObjective
from deepgen_fast.random import BatchNoise


class _Level(NamedTuple):
    """One level's discriminator, as ``AdversarialObjective`` asks for one."""

    model: Any
    level: int

    def discriminate(self, part: Example) -> Tensor:
        return self.model.discriminate_at(self.level, part)


def _levels(model: Any) -> list[_Level]:
    return [_Level(model, level) for level in model.present]


def _sum(losses: Sequence[AdversarialLoss], model: Any) -> AdversarialLoss:
    """The losses of the model's levels added up, their logits one after the other."""
    parts: dict[str, Tensor] = {}
    for level, loss in zip(model.present, losses, strict=True):
        parts[f"level_{level}"] = loss.value.detach()
        for name, value in loss.parts.items():
            parts[name] = parts[name] + value if name in parts else value
    real = [loss.real_logits for loss in losses if loss.real_logits is not None]
    return AdversarialLoss(
        torch.stack([loss.value for loss in losses]).sum(),
        torch.cat(real) if real else None,
        torch.cat([loss.fake_logits for loss in losses]),
        parts,
    )


class PyramidObjective(AdversarialObjective):
    """Equation 2 of Denton et al. at every level that the model has: log D_k(h_k, l_k) + log(1 - D_k(G_k(z_k, l_k),
    l_k)), real l_k on both sides. Parameters are those of ``AdversarialObjective``, for each level; penalties look at
    h_k.

    Each level's loss, its penalties included, is a part, ``level_0``, ``level_1``, ..., of both players; penalties are
    summed over the levels. Logits are those of all levels, so that D(x) and the right answers are means over them.
    """

    def parts_of(self, model: Any) -> dict[str, tuple[str, ...]]:
        levels = tuple(f"level_{level}" for level in model.present)
        return {"discriminator": (*levels, *self.part_names["discriminator"]), "generator": levels}

    def for_validation(self) -> PyramidObjective:
        return PyramidObjective(self.loss)

    def discriminator_loss(
        self, model: Any, real: Example, fake: Example, *, step: int = 0, noise: BatchNoise | None = None
    ) -> AdversarialLoss:
        """As ``AdversarialObjective``'s, of a ``LAPGAN`` and examples with a part for each level."""
        game = super().discriminator_loss
        parts = zip(_levels(model), real, fake, strict=True)
        return _sum([game(level, one, other, step=step, noise=noise) for level, one, other in parts], model)

    def generator_loss(self, model: Any, fake: Example, **options: Any) -> AdversarialLoss:
        """As ``AdversarialObjective``'s, of a ``LAPGAN`` and an example with a part for each level; options unused."""
        game = super().generator_loss
        return _sum([game(level, part) for level, part in zip(_levels(model), fake, strict=True)], model)
