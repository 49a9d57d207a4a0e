"""What the players of an InfoGAN minimize: a game of logits, less a bound on what x says of its codes."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.example import Example
from deepgen_fast.objectives.gan import AdversarialLoss, AdversarialObjective
from deepgen_fast.objectives.weights import check_weights
from deepgen_fast.ops.gaussian_log_likelihood import gaussian_log_likelihood
from deepgen_fast.random import BatchNoise


def categorical_information(logits: Tensor, code: Tensor) -> Tensor:
    """``[]``, in nats: mean log Q(c|x) + H(c) of a uniform categorical code, at most H(c) = log K.

    Args:
        logits: ``[B, K]``, unnormalized log Q(c|x).
        code: int64 ``[B]``, from which x was made.
    """
    return math.log(logits.shape[1]) - F.cross_entropy(logits, code)


def continuous_information(mean: Tensor, logvar: Tensor, code: Tensor) -> Tensor:
    """``[]``, in nats: mean log Q(c|x) + H(c) of codes uniform in [-1, 1], whose H(c) is log 2 each.

    It has no maximum: the information of a continuous code may be as large as it likes.

    Args:
        mean, logvar: ``[B, C]`` of the Gaussians Q(c|x).
        code: ``[B, C]``, from which x was made.
    """
    log_q = gaussian_log_likelihood(mean, code.to(mean.dtype), logvar=logvar, reduction="mean")
    return log_q + mean.shape[1] * math.log(2.0)


class InformationObjective(AdversarialObjective):
    """min over G and Q, max over D of V(D, G) - lambda L_I(G, Q) (equation 6 of the paper).

    L_I(G, Q) = E[log Q(c|x)] + H(c), over codes c and x = G(z, c), is at most I(c; G(z, c)), and is that where Q is the
    posterior (equations 4 and 5). Each player's loss has -lambda L_I: the generator lowers it through a frozen Q, the
    discriminator's player through Q and the layers that D and Q share, as in the paper's code.

    Args:
        information_weight: lambda of the categorical code.
        continuous_weight: lambda of the continuous codes, far less than 1: their information has no maximum, and with
            more weight they, too, come to mean what the categorical code should.
        options: of ``AdversarialObjective``.

    Raises:
        ValueError: a weight that is negative or not finite, or as ``AdversarialObjective``.

    ``parts`` of either player: ``categorical_information`` and ``continuous_information``, in nats.

    Source: Chen et al., "InfoGAN", 2016, section 5.
    """

    def __init__(self, information_weight: float = 1.0, continuous_weight: float = 0.02, **options: Any) -> None:
        super().__init__(**options)
        check_weights(information_weight=information_weight, continuous_weight=continuous_weight)
        self.information_weight = information_weight
        self.continuous_weight = continuous_weight
        bounds = ("categorical_information", "continuous_information")
        self.part_names = {"discriminator": (*self.part_names["discriminator"], *bounds), "generator": bounds}

    def for_validation(self) -> InformationObjective:
        """Without penalties or smoothing."""
        return InformationObjective(self.information_weight, self.continuous_weight, loss=self.loss)

    def discriminator_loss(
        self, model: Any, real: Example, fake: Example, *, step: int = 0, noise: BatchNoise | None = None
    ) -> AdversarialLoss:
        """As ``AdversarialObjective``; ``fake`` is ``(x, code, continuous)``, of an ``InfoGAN``."""
        reader = _Reader(model)
        loss = super().discriminator_loss(reader, real, fake, step=step, noise=noise)
        return self._with_information(loss, reader, fake)

    def generator_loss(self, model: Any, fake: Example, **options: Any) -> AdversarialLoss:
        """As ``AdversarialObjective``; ``fake`` is ``(x, code, continuous)``, of an ``InfoGAN``."""
        reader = _Reader(model)
        return self._with_information(super().generator_loss(reader, fake, **options), reader, fake)

    def _with_information(self, loss: AdversarialLoss, reader: _Reader, fake: Example) -> AdversarialLoss:
        _, code, continuous = fake
        posterior = reader.posterior
        bounds = {"categorical_information": categorical_information(posterior.logits, code)}
        value = loss.value - self.information_weight * bounds["categorical_information"]
        if continuous.shape[1]:
            bounds["continuous_information"] = continuous_information(posterior.mean, posterior.logvar, continuous)
            value = value - self.continuous_weight * bounds["continuous_information"]
        detached = {name: bound.detach() for name, bound in bounds.items()}
        return loss._replace(value=value, parts={**loss.parts, **detached})


class _Reader:
    """The model, keeping Q(c|x) of the generated examples that it judges: D and Q share one pass."""

    posterior: Any

    def __init__(self, model: Any) -> None:
        self._model = model

    def discriminate(self, example: Example) -> Tensor:
        if isinstance(example, Tensor):
            return self._model.discriminate(example)
        logits, self.posterior = self._model.logits_and_codes(example)
        return logits
