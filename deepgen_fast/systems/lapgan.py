"""The Laplacian pyramid of GANs."""

from __future__ import annotations

from deepgen_fast.config.from_signature import with_defaults
from deepgen_fast.config.gan import GANTrainerConfig
from deepgen_fast.models import lapgan
from deepgen_fast.objectives import PyramidObjective
from deepgen_fast.systems.adversarial import adversarial_system

adversarial_system(
    "lapgan", "Laplacian pyramid of GANs", PyramidObjective, settings=with_defaults(GANTrainerConfig, ema_decay=0.99)
)(lapgan)
