"""What the players of a semi-supervised GAN of K + 1 classes minimize."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from deepgen_fast.example import Example
from deepgen_fast.objectives.few_labels import label_parts, labeled_of
from deepgen_fast.objectives.gan import AdversarialLoss, AdversarialObjective
from deepgen_fast.objectives.weights import check_weights
from deepgen_fast.random import BatchNoise


def realness(logits: Tensor) -> Tensor:
    """``[B]``: log Z(x) = log sum_k exp l_k(x), the logit of D(x) = Z / (Z + 1).

    Args:
        logits: ``[B, K]``, those of K classes of real examples, where that of generated ones is 0.
    """
    return logits.logsumexp(1)


class SemiSupervisedObjective(AdversarialObjective):
    """A discriminator of K + 1 classes, the last of which is "generated" (Salimans et al. 2016, section 5).

    The discriminator minimizes L_supervised + L_unsupervised,

        L_supervised   = -E_{x,y} log p(y | x, y < K + 1),
        L_unsupervised = -E_x log D(x) - E_z log(1 - D(G(z))),    D(x) = 1 - p(y = K + 1 | x),

    the second being the game of any GAN, over all real examples, labeled or not. By default the generator matches
    features, which the paper found to serve classification best.

    Args:
        label_weight: weight of the supervised loss.
        feature_matching: the generator lowers ||E f(x) - E f(G(z))||^2 in place of the loss.
        options: of ``AdversarialObjective``.

    Raises:
        ValueError: a weight that is negative or not finite, or as ``AdversarialObjective``.

    ``parts`` of the discriminator also are ``cross_entropy`` and ``accuracy``, on labeled examples where there are
    some.
    """

    semi_supervised = True

    def __init__(self, label_weight: float = 1.0, feature_matching: bool = True, **options: Any) -> None:
        super().__init__(feature_matching=feature_matching, **options)
        check_weights(label_weight=label_weight)
        self.label_weight = label_weight
        self.part_names = {"discriminator": (*self.part_names["discriminator"], "cross_entropy", "accuracy")}

    def for_validation(self) -> SemiSupervisedObjective:
        """Without penalties or smoothing; labels are then those of the held-out examples themselves."""
        return SemiSupervisedObjective(self.label_weight, self.feature_matching, loss=self.loss)

    def discriminator_loss(
        self,
        model: Any,
        real: Example,
        fake: Example,
        *,
        step: int = 0,
        noise: BatchNoise | None = None,
        labeled: Example | None = None,
    ) -> AdversarialLoss:
        """As ``AdversarialObjective``, of a model that can ``classify``.

        Args:
            model, real, fake, step, noise: as of ``AdversarialObjective``.
            labeled: examples and their labels ``[B]``; in their stead those of ``real`` that have a label, if any.
        """
        loss = super().discriminator_loss(model, real, fake, step=step, noise=noise)
        if labeled is None:
            logits, labels = labeled_of(model.classify(real), real)
        else:
            logits, labels = model.classify(labeled), labeled[1]
        parts = label_parts(logits, labels)
        if not parts:
            return loss
        detached = {name: part.detach() for name, part in parts.items()}
        value = loss.value + self.label_weight * parts["cross_entropy"]
        return loss._replace(value=value, parts={**loss.parts, **detached})
