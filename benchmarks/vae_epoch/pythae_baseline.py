"""pythae's own VAE, its default MLP (784-512-latents with ReLU, as ours) and its BaseTrainer."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable

from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.trainer_utils import set_seed
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor

# Names in pythae's default networks and in our two-layer VAE.
_NAMES = {
    "encoder.layers.0.0": "encoder.hidden",
    "encoder.embedding": "encoder.mean",
    "encoder.log_var": "encoder.scale",
    "decoder.layers.0.0": "decoder.hidden",
    "decoder.layers.1.0": "decoder.output",
}


class _EpochClock(TrainingCallback):
    def __init__(self, on_epoch: Callable[[], None]) -> None:
        self._on_epoch = on_epoch

    def on_epoch_begin(self, training_config: BaseTrainerConfig, **unused: object) -> None:
        self._on_epoch()


def train_pythae(
    train: Tensor,
    validation: Tensor | None,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    latent_dim: int,
    seed: int,
    on_epoch: Callable[[], None],
) -> tuple[dict[str, Tensor], float]:
    """Train on ``train [N, 1, 28, 28]``; returns the last weights under our names, and when training ended.

    Settings are pythae's defaults but for batch size, learning rate and epochs: no checkpoints on the way, the
    best model kept in memory, its progress bar.
    """
    logging.getLogger("pythae").setLevel(logging.WARNING)
    set_seed(seed)
    shape = tuple(train.shape[1:])
    model = VAE(VAEConfig(input_dim=shape, latent_dim=latent_dim, reconstruction_loss="bce"))
    sets = [None if x is None else BaseDataset(x, x.new_zeros(len(x))) for x in (train, validation)]
    with tempfile.TemporaryDirectory() as directory:
        config = BaseTrainerConfig(
            output_dir=directory,
            num_epochs=epochs,
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=512,
            learning_rate=learning_rate,
            seed=seed,
            no_cuda=True,
        )
        trainer = BaseTrainer(model, sets[0], sets[1], config, callbacks=[_EpochClock(on_epoch)])
        trainer.train()
        ended = time.perf_counter()
    weights = trainer.model.state_dict()
    return {
        f"{ours}.{kind}": weights[f"{theirs}.{kind}"] for theirs, ours in _NAMES.items() for kind in ("weight", "bias")
    }, ended
