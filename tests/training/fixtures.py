from __future__ import annotations

import pytest
import torch

from deepgen_fast.models import GAN, VAE, dcgan, two_layer_vae
from deepgen_fast.training import read_checkpoint


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


@pytest.fixture
def pictures() -> torch.Tensor:
    """50 gray pictures of 16 x 16 in [0, 1]: soft blobs, each at another place."""
    generator = torch.Generator().manual_seed(6)
    centers = 4 + 8 * torch.rand(50, 2, 1, 1, generator=generator)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    squared = (rows - centers[:, 0]).square() + (columns - centers[:, 1]).square()
    return torch.exp(-squared / 12.0).unsqueeze(1)


@pytest.fixture
def build_gan():
    """A small DCGAN, the same at every call."""

    def build(**options) -> GAN:
        torch.manual_seed(0)
        return dcgan(**{"event_shape": (1, 16, 16), "width": 4, "latent_dim": 6, **options})

    return build


@pytest.fixture
def same_run():
    """Checks that two trainers left the same, to the bit, in weights, averages, moments and records; gives the epochs
    recorded."""

    def check(first, second, kinds=("latest",)) -> list[int]:
        for kind in kinds:
            paths = [getattr(trainer.run_directory.checkpoints, kind)() for trainer in (first, second)]
            assert paths[0].name == paths[1].name
            left, right = (read_checkpoint(path) for path in paths)
            for group in ("model", "ema", "training"):
                tensors, others = getattr(left, group) or {}, getattr(right, group) or {}
                assert tensors.keys() == others.keys()
                for name in tensors:
                    assert torch.equal(tensors[name], others[name]), name
            assert left.state == right.state
        timing = ("seconds", "examples_per_second")
        histories = [
            [{key: value for key, value in record.items() if key not in timing} for record in records]
            for records in (first.run_directory.read_metrics(), second.run_directory.read_metrics())
        ]
        assert histories[0] == histories[1]
        return [record["epoch"] for record in histories[0]]

    return check
