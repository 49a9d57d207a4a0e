"""Training objectives."""

from __future__ import annotations

from deepgen_fast.example import event_of, with_event
from deepgen_fast.objectives.adversarial import discriminator_loss, generator_loss
from deepgen_fast.objectives.elbo import ELBO, ImportanceWeightedBound, Loss, Objective
from deepgen_fast.objectives.entropies import CategoricalObjective, certainty_logits, entropies, marginal_entropy
from deepgen_fast.objectives.gan import AdversarialLoss, AdversarialObjective, GANObjective, feature_distance
from deepgen_fast.objectives.gradient_penalties import gradient_penalty, squared_gradient_norm
from deepgen_fast.objectives.hierarchical_elbo import HierarchicalELBO
from deepgen_fast.objectives.lapgan import PyramidObjective
from deepgen_fast.objectives.mutual_information import (
    InformationObjective,
    categorical_information,
    continuous_information,
)
from deepgen_fast.objectives.semi_supervised import SemiSupervisedObjective, realness
from deepgen_fast.objectives.sentence import SentenceELBO
from deepgen_fast.objectives.variational_bound import variational_bound

__all__ = [
    "ELBO",
    "AdversarialLoss",
    "AdversarialObjective",
    "CategoricalObjective",
    "GANObjective",
    "HierarchicalELBO",
    "ImportanceWeightedBound",
    "InformationObjective",
    "Loss",
    "Objective",
    "PyramidObjective",
    "SemiSupervisedObjective",
    "SentenceELBO",
    "categorical_information",
    "certainty_logits",
    "continuous_information",
    "discriminator_loss",
    "entropies",
    "event_of",
    "feature_distance",
    "generator_loss",
    "gradient_penalty",
    "marginal_entropy",
    "realness",
    "squared_gradient_norm",
    "variational_bound",
    "with_event",
]
