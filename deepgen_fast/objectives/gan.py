"""What the two players of a GAN minimize, from a model and examples: a loss of logits, and penalties."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from deepgen_fast.example import Example, event_of, with_event
from deepgen_fast.objectives.adversarial import check_loss, discriminator_loss, generator_loss
from deepgen_fast.objectives.gradient_penalties import gradient_penalty, squared_gradient_norm
from deepgen_fast.objectives.weights import check_weights
from deepgen_fast.random import BatchNoise

LossName = Literal[
    "non_saturating", "saturating", "label_swapped", "algorithm_13_1", "hinge", "least_squares", "wasserstein"
]


class AdversarialLoss(NamedTuple):
    """What one evaluation gives.

    Attributes:
        value: ``[]``, to minimize, with gradient.
        real_logits: ``[B]``, detached; None where no real examples were judged.
        fake_logits: ``[B]``, detached.
        parts: further scalars by name, detached, that are worth a curve.
    """

    value: Tensor
    real_logits: Tensor | None
    fake_logits: Tensor
    parts: dict[str, Tensor]


def feature_distance(real: Tensor, fake: Tensor) -> Tensor:
    """``[]``: ||E f(x) - E f(G(z))||^2, squared over features, of the means over two batches.

    Args:
        real, fake: f(x) and f(G(z)), ``[B, n]``.
    """
    return (real.mean(0) - fake.mean(0)).square().sum()


class GANObjective(Protocol):
    """The losses of two players on a batch."""

    #: Whether real examples come with labels, some of which may be missing.
    semi_supervised: bool
    #: Whether ``generator_loss`` asks the model for ``features``.
    feature_matching: bool

    #: Logit above which an example is taken for real; None where a logit means nothing by itself.
    threshold: float | None

    def parts_of(self, model: Any) -> dict[str, tuple[str, ...]]: ...

    #: Called as ``AdversarialObjective``'s are; that of a ``semi_supervised`` one takes ``labeled`` too.
    def discriminator_loss(self, *examples: Any, **options: Any) -> AdversarialLoss: ...
    def generator_loss(self, *examples: Any, **options: Any) -> AdversarialLoss: ...
    def for_validation(self) -> GANObjective: ...


class AdversarialObjective:
    """A game of two players (13.30-13.34), with penalties on the discriminator's gradient.

    Args:
        loss: adversarial loss: non_saturating (13.33), saturating (13.34), label_swapped, algorithm_13_1 (line 9 as
            printed), hinge, least_squares or wasserstein; see ``adversarial.discriminator_loss``.
        label_smoothing: one-sided label smoothing: real examples get the label 1 - label_smoothing, such as 0.9.
        gradient_penalty: weight of (gradient norm - 1)^2 between real and generated examples; 10 for WGAN-GP.
        r1: weight gamma of the R1 penalty: gamma/2 times the squared gradient norm at real examples.
        r2: weight gamma of the same penalty at generated examples.
        penalty_every: discriminator steps between penalties, which then weigh as many times more.
        feature_matching: the generator lowers ||E f(x) - E f(G(z))||^2 in place of the loss, f an intermediate layer of
            the discriminator and the means those of a batch (Salimans et al. 2016, section 3.1).

    Raises:
        ValueError: for an unknown loss, or a number out of its range.

    ``parts`` of the discriminator's loss are the penalties, without their weights. ``part_names`` says beforehand which
    parts each player's loss will have, and ``threshold`` above which logit an example is taken for real; None where a
    logit means nothing by itself (wasserstein). To one that is ``semi_supervised``, real examples come with labels, -1
    where there is none, and ``discriminator_loss`` is also given ``labeled=``: a pair of as many examples that have a
    label, drawn at every step; it is missing where no example has one, and in validation.
    """

    semi_supervised = False

    def __init__(
        self,
        loss: LossName = "non_saturating",
        label_smoothing: float = 0.0,
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
        r2: float = 0.0,
        penalty_every: int = 1,
        feature_matching: bool = False,
    ) -> None:
        check_loss(loss, label_smoothing)
        check_weights(gradient_penalty=gradient_penalty, r1=r1, r2=r2)
        if penalty_every < 1:
            raise ValueError(f"penalty_every: expected at least 1, got {penalty_every}")
        self.loss: LossName = loss
        self.label_smoothing = label_smoothing
        self.gradient_penalty = gradient_penalty
        self.r1 = r1
        self.r2 = r2
        self.penalty_every = penalty_every
        self.feature_matching = feature_matching
        penalties = {"r1": r1, "r2": r2, "gradient_penalty": gradient_penalty}
        self.part_names: dict[str, tuple[str, ...]] = {
            "discriminator": tuple(name for name, weight in penalties.items() if weight)
        }
        self.threshold: float | None = {"least_squares": 0.5, "wasserstein": None}.get(loss, 0.0)

    def parts_of(self, model: Any) -> dict[str, tuple[str, ...]]:
        """``part_names``, for objectives whose parts depend on the model."""
        return self.part_names

    def for_validation(self) -> AdversarialObjective:
        """The loss alone, without penalties or smoothing: comparable between settings, and needs no gradients."""
        return AdversarialObjective(self.loss)

    def discriminator_loss(
        self, model: Any, real: Example, fake: Example, *, step: int = 0, noise: BatchNoise | None = None
    ) -> AdversarialLoss:
        """Of one batch of each.

        Args:
            model: a ``GAN``, or anything that can ``discriminate``.
            real, fake: examples; each is judged as a batch of its own, so that batch norm keeps them apart, as in
                DCGAN. What made ``fake`` gets no gradient.
            step: of the discriminator, for ``penalty_every``.
            noise: decides where the gradient penalty looks.
        """
        penalized = step % self.penalty_every == 0
        real, real_event = _leaf(real, penalized and self.r1 > 0)
        fake, fake_event = _leaf(fake, penalized and self.r2 > 0)
        real_logits, fake_logits = model.discriminate(real), model.discriminate(fake)
        value = discriminator_loss(real_logits, fake_logits, self.loss, label_smoothing=self.label_smoothing)
        parts: dict[str, Tensor] = {}
        if penalized:
            if self.r1:
                parts["r1"] = squared_gradient_norm(real_logits, real_event)
            if self.r2:
                parts["r2"] = squared_gradient_norm(fake_logits, fake_event)
            if self.gradient_penalty:
                parts["gradient_penalty"] = gradient_penalty(
                    lambda event: model.discriminate(with_event(real, event)), real_event, fake_event, noise
                )
            weights = {"r1": self.r1 / 2, "r2": self.r2 / 2, "gradient_penalty": self.gradient_penalty}
            for name, penalty in parts.items():
                value = value + weights[name] * self.penalty_every * penalty
        detached = {name: penalty.detach() for name, penalty in parts.items()}
        return AdversarialLoss(value, real_logits.detach(), fake_logits.detach(), detached)

    def generator_loss(
        self,
        model: Any,
        fake: Example,
        *,
        real: Example | None = None,
        latent: Any = None,
        step: int = 0,
        noise: BatchNoise | None = None,
    ) -> AdversarialLoss:
        """Of one batch of generated examples.

        Args:
            model: as for ``discriminator_loss``.
            fake: what the generator made of ``latent``, with its graph.
            real: the discriminator's last batch, which feature matching compares with.
            latent, step, noise: what was drawn, the generator's step, and further draws; here unused.
        """
        if self.feature_matching:
            with torch.no_grad():
                wanted = model.features(real)
            logits, features = model.logits_and_features(fake)
            return AdversarialLoss(feature_distance(wanted, features), None, logits.detach(), {})
        logits = model.discriminate(fake)
        value = generator_loss(logits, self.loss, label_smoothing=self.label_smoothing)
        return AdversarialLoss(value, None, logits.detach(), {})


def _leaf(example: Example, wanted: bool) -> tuple[Example, Tensor]:
    """The example cut off from what made it, and its event, which ``wanted`` says the logits are derived by."""
    event = event_of(example).detach()
    if wanted:
        event.requires_grad_()  # a tensor of its own: detach() made it
    return with_event(example, event), event
