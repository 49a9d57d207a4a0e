"""The variational autoencoder."""

from __future__ import annotations

from deepgen_fast.models import variational_autoencoder
from deepgen_fast.objectives import variational_bound
from deepgen_fast.systems.variational import variational_system

variational_system(
    "vae",
    "variational autoencoder",
    variational_bound,
    examples=(
        "--latent-dim 2 --binarize stochastic -o runs/plane",
        "--data photos/ --image-size 32 --likelihood gaussian",
    ),
)(variational_autoencoder)
