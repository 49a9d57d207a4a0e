"""Settings of the variational systems that need others than a VAE's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deepgen_fast.config.sections import PositiveFloat, PositiveInt, TrainerConfig


class LongTrainerConfig(TrainerConfig):
    """How to train; see ``deepgen_fast.training.VAETrainer``. Small steps to the end, and weights averaged over some
    hundred of them: what is wanted of these models, samples and densities, goes on improving when the loss hardly does.
    """

    epochs: PositiveInt = Field(default=100, description="passes over the training data")
    batch_size: PositiveInt = Field(default=64, description="examples per step")
    learning_rate: PositiveFloat = Field(default=2e-3, description="peak learning rate of Adam")
    schedule: Literal["none", "cosine", "step"] = Field(default="cosine", description="learning-rate schedule")
    ema_decay: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = Field(
        default=0.99, description="decay of the moving average of the weights (EMA)"
    )
