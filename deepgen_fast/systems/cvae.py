"""The conditional VAE."""

from __future__ import annotations

from deepgen_fast.models import conditional_vae
from deepgen_fast.systems.settings import LongTrainerConfig
from deepgen_fast.systems.variational import variational_system

variational_system("cvae", "conditional VAE", labeled=True, settings=LongTrainerConfig)(conditional_vae)
