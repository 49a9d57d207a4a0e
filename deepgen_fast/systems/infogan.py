"""The information-maximizing GAN."""

from __future__ import annotations

from deepgen_fast.config.from_signature import with_defaults
from deepgen_fast.models import infogan
from deepgen_fast.objectives import InformationObjective
from deepgen_fast.systems.adversarial import adversarial_system
from deepgen_fast.systems.settings import FastGANTrainerConfig

adversarial_system(
    "infogan",
    "information-maximizing GAN",
    InformationObjective,
    # The discriminator's optimizer also moves Q, which should not learn to read a code before the generator has made
    # something of it.
    settings=with_defaults(FastGANTrainerConfig, discriminator_learning_rate=2e-4),
)(infogan)
