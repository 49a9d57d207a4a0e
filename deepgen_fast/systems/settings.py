"""Defaults of training that several systems share."""

from __future__ import annotations

from deepgen_fast.config.from_signature import with_defaults
from deepgen_fast.config.gan import GANTrainerConfig
from deepgen_fast.config.sections import TrainerConfig

#: Small steps to the end, and weights averaged over some hundred of them: what is wanted of these models, samples and
#: densities, goes on improving when the loss hardly does.
LongTrainerConfig = with_defaults(
    TrainerConfig, epochs=100, batch_size=64, learning_rate=2e-3, schedule="cosine", ema_decay=0.99
)
#: DCGAN's learning rate, and no average of the weights, are for large images and long runs.
FastGANTrainerConfig = with_defaults(GANTrainerConfig, learning_rate=1e-3, ema_decay=0.99)
