"""The categorical GAN."""

from __future__ import annotations

from deepgen_fast.models import catgan
from deepgen_fast.objectives import CategoricalObjective
from deepgen_fast.systems.adversarial import adversarial_system
from deepgen_fast.systems.settings import FastGANTrainerConfig

adversarial_system("catgan", "categorical GAN", CategoricalObjective, settings=FastGANTrainerConfig)(catgan)
