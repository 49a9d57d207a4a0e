"""The conditional GAN."""

from __future__ import annotations

from deepgen_fast.models import conditional_gan
from deepgen_fast.systems.adversarial import adversarial_system
from deepgen_fast.systems.settings import FastGANTrainerConfig

adversarial_system("cgan", "conditional GAN", labeled=True, settings=FastGANTrainerConfig)(conditional_gan)
