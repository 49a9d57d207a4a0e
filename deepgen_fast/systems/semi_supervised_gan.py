"""The semi-supervised GAN."""

from __future__ import annotations

from deepgen_fast.config.from_signature import with_defaults
from deepgen_fast.models import semi_supervised_gan
from deepgen_fast.objectives import SemiSupervisedObjective
from deepgen_fast.systems.adversarial import adversarial_system
from deepgen_fast.systems.settings import FastGANTrainerConfig

adversarial_system(
    "semi-supervised-gan",
    "semi-supervised GAN",
    SemiSupervisedObjective,
    settings=with_defaults(FastGANTrainerConfig, epochs=40, schedule="cosine"),
)(semi_supervised_gan)
