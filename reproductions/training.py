"""Runs of the acceptance: by the public trainer, saved and loaded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from deepgen_fast import runs
from deepgen_fast.data import DatasetSplits
from deepgen_fast.runs import train
from deepgen_fast.systems import RunConfig

QUIET = {"trainer.progress": "none", "trainer.tensorboard": False, "trainer.device": "cpu"}


class Trained(NamedTuple):
    """The model at its last step, with averaged weights where the run keeps them, and the records of its epochs."""

    model: Any
    history: list[dict[str, Any]]


def trained(system: str, seed: int, splits: DatasetSplits | None = None, **overrides: Any) -> Trained:
    """Train a system from a seed.

    Args:
        system: its name.
        seed: of weights, order and noise.
        splits: the data; what the config says when None.
        overrides: of the config, with ``__`` for the dot: ``model__width=32``.
    """
    changed = {name.replace("__", "."): value for name, value in overrides.items()}
    config = RunConfig.for_system(system)().with_overrides({**QUIET, "trainer.seed": seed, **changed})
    with tempfile.TemporaryDirectory() as directory:
        result = train(config, Path(directory) / "run", splits=splits)
        return Trained(runs.open(Path(directory) / "run", "last").model, result.history)
