from __future__ import annotations

import pytest
import torch

from deepgen_fast.models import VAE, two_layer_vae


@pytest.fixture
def images() -> torch.Tensor:
    """70 binary pictures of 4 x 4: vertical or horizontal bars, so that there is something to learn."""
    generator = torch.Generator().manual_seed(5)
    bars = (torch.rand(70, 1, 4, 1, generator=generator) > 0.5).float().expand(-1, -1, -1, 4).contiguous()
    return torch.cat([bars[:35], bars[35:].transpose(2, 3)])


@pytest.fixture
def build_vae():
    """A small model, the same at every call."""

    def build(**options) -> VAE:
        torch.manual_seed(0)
        return two_layer_vae((1, 4, 4), hidden_dim=12, latent_dim=2, **options)

    return build


@pytest.fixture
def quiet() -> dict[str, object]:
    """Settings of fast tests."""
    return {"progress": "none", "tensorboard": False, "device": "cpu", "batch_size": 16}
