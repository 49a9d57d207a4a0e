"""The ways of training the same VAE that are compared: 784-512-16, Bernoulli pixels, Adam.

Each trains on ``train`` and returns when every epoch began, when training ended, and its weights in our model.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.vae_epoch.eager_loop import EagerELBO, train_eager_loop
from deepgen_fast.data import load_dataset
from deepgen_fast.models import VAE, two_layer_vae
from deepgen_fast.objectives import ELBO
from deepgen_fast.training import VAETrainer

HIDDEN, LATENTS, BATCH, LEARNING_RATE = 512, 16, 128, 1e-3


class Data(NamedTuple):
    """Digits ``[N, 1, 28, 28]`` in [0, 1]."""

    train: Tensor
    validation: Tensor | None
    test: Tensor


def load(validation: bool) -> Data:
    """mnist5k; without validation, its validation digits are left out all the same, so epochs are as long."""
    splits: Any = load_dataset("mnist5k")
    return Data(splits.train.images, splits.validation.images if validation else None, splits.test.images)


@dataclass
class Trained:
    """Clock readings at the start of each epoch and at the end of training, and the trained model."""

    model: VAE
    ended: float
    epoch_starts: list[float] = field(default_factory=list)


class _ClockedTrainer(VAETrainer):
    """Notes when each epoch begins."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.epoch_starts: list[float] = []

    def training_step(self, batch: Tensor, step: int, learning_rate: float) -> Tensor:
        if step % self.steps_per_epoch == 0:
            self.epoch_starts.append(time.perf_counter())
        return super().training_step(batch, step, learning_rate)


def vae_trainer(data: Data, epochs: int, seed: int, *, precision: str = "float32", fused: bool = True) -> Trained:
    """VAETrainer with all that it does by default: run directory, checkpoints, TensorBoard, pictures, progress."""
    torch.manual_seed(seed)
    model = two_layer_vae((1, 28, 28), HIDDEN, LATENTS)
    with tempfile.TemporaryDirectory() as directory:
        trainer = _ClockedTrainer(
            model,
            ELBO() if fused else EagerELBO(),
            epochs=epochs,
            batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            precision=precision,
            seed=seed,
            device="cpu",
            progress="bar",
            run_directory=f"{directory}/run",
        )
        trainer.fit(data.train, data.validation)
        return Trained(model, time.perf_counter(), trainer.epoch_starts)


def eager_loop(data: Data, epochs: int, seed: int, *, fused_adam: bool = False, precision: str = "float32") -> Trained:
    """The loop of ``eager_loop.py``."""
    torch.manual_seed(seed)
    flat = Data(*(None if part is None else part.flatten(1) for part in data))  # type: ignore[arg-type]
    starts: list[float] = []
    weights = train_eager_loop(
        flat.train,
        flat.validation,
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        hidden_dim=HIDDEN,
        latent_dim=LATENTS,
        fused_adam=fused_adam,
        bf16=precision == "bf16",
        on_epoch=lambda: starts.append(time.perf_counter()),
    )
    ended = time.perf_counter()
    return Trained(_with_weights(weights), ended, starts)


def pythae(data: Data, epochs: int, seed: int) -> Trained:
    """pythae's VAE and BaseTrainer."""
    from benchmarks.vae_epoch.pythae_baseline import train_pythae

    starts: list[float] = []
    weights, ended = train_pythae(
        data.train,
        data.validation,
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        latent_dim=LATENTS,
        seed=seed,
        on_epoch=lambda: starts.append(time.perf_counter()),
    )
    return Trained(_with_weights(weights), ended, starts)


def _with_weights(weights: dict[str, Tensor]) -> VAE:
    model = two_layer_vae((1, 28, 28), HIDDEN, LATENTS)
    model.load_state_dict(weights)
    return model


class Candidate(NamedTuple):
    """A way to train; ``precision`` is for the table."""

    train: Callable[..., Trained]
    precision: str
    options: dict[str, Any]


CANDIDATES = {
    "pythae": Candidate(pythae, "float32", {}),
    "eager loop": Candidate(eager_loop, "float32", {}),
    "eager loop, fused Adam": Candidate(eager_loop, "float32", {"fused_adam": True}),
    "VAETrainer": Candidate(vae_trainer, "float32", {}),
    "VAETrainer, eager ops": Candidate(vae_trainer, "float32", {"fused": False}),
    "eager loop, autocast": Candidate(eager_loop, "bf16", {"precision": "bf16"}),
    "VAETrainer, bf16": Candidate(vae_trainer, "bf16", {"precision": "bf16"}),
}


def unavailable(name: str) -> str | None:
    """Why a candidate cannot run here, or None."""
    if name == "pythae" and importlib.util.find_spec("pythae") is None:
        return "skipped: pythae is not installed; benchmarks/README.md has the two commands"
    return None
