"""Small runs of the systems with classes or codes, for their tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepgen_fast.data import DatasetSplits, Split
from deepgen_fast.systems import RunConfig

QUIET = {"trainer.progress": "none", "trainer.tensorboard": False, "trainer.device": "cpu", "trainer.threads": 1}


def bars(count: int = 160, seed: int = 0) -> DatasetSplits:
    """8 x 8 pictures of three classes - a bright left half, an upper half, a cross - in two tones, with noise."""

    def split(size: int, generator: torch.Generator) -> Split:
        labels = torch.arange(size) % 3
        bright = torch.where(torch.rand(size, generator=generator) < 0.5, 0.6, 0.9)
        shapes = torch.zeros(3, 1, 8, 8)
        shapes[0, :, :, :4] = shapes[1, :, :4] = 1
        shapes[2, :, 3:5] = shapes[2, :, :, 3:5] = 1
        noise = 0.1 * torch.rand(size, 1, 8, 8, generator=generator)
        return Split((shapes[labels] * bright.view(-1, 1, 1, 1) + noise).clamp(0, 1), labels)

    generator = torch.Generator().manual_seed(seed)
    return DatasetSplits("bars", split(count, generator), split(45, generator), split(45, generator))


def write_bars(path: Path) -> str:
    """The same as a file."""
    splits = bars()
    parts = {"train": splits.train, "val": splits.validation, "test": splits.test}
    arrays = {f"x_{name}": part.images.numpy() for name, part in parts.items()}
    np.savez(path, **arrays, **{f"y_{name}": part.labels.numpy() for name, part in parts.items()})
    return str(path)


def classes_of(images: torch.Tensor) -> torch.Tensor:
    """Which of the three each picture ``[n, 1, 8, 8]`` is nearest to, by its angle."""
    clean = bars(3).train
    flat = torch.nn.functional.normalize(images.flatten(1), dim=1)
    shapes = torch.stack([clean.images[clean.labels == label].mean(0).flatten() for label in range(3)])
    return (flat @ torch.nn.functional.normalize(shapes, dim=1).T).argmax(1)


def config(system: str, **overrides: Any) -> RunConfig:
    settings = {**QUIET, "trainer.batch_size": 16, "model.event_shape": (1, 8, 8), "model.width": 4}
    return RunConfig.for_system(system)().with_overrides({**settings, "model.latent_dim": 4, **overrides})
