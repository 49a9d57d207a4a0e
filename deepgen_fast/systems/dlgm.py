"""The deep latent Gaussian model."""

from __future__ import annotations

from deepgen_fast.models import deep_latent_gaussian
from deepgen_fast.objectives import HierarchicalELBO
from deepgen_fast.systems.settings import LongTrainerConfig
from deepgen_fast.systems.variational import variational_system

variational_system("dlgm", "deep latent Gaussian model", HierarchicalELBO, settings=LongTrainerConfig)(
    deep_latent_gaussian
)
