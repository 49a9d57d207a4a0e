"""Settings of a GAN's training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deepgen_fast.config.sections import Boolean, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, TrainerConfig


class GANTrainerConfig(TrainerConfig):
    """How to train two players; see ``deepgen_fast.training.GANTrainer``."""

    epochs: PositiveInt = Field(default=25, description="passes over the training data")
    batch_size: PositiveInt = Field(
        default=64, description="real examples per discriminator step, and as many generated ones"
    )
    drop_last: Boolean = Field(
        default=True,
        description="drop a last, smaller batch, whose statistics batch norm would see as another distribution",
    )
    learning_rate: PositiveFloat = Field(default=2e-4, description="peak learning rate of the generator")
    discriminator_learning_rate: PositiveFloat | None = Field(
        default=None, description="peak learning rate of the discriminator; the generator's if unset"
    )
    adam_betas: tuple[Fraction, Fraction] = Field(
        default=(0.5, 0.999),
        description="betas of both Adam optimizers; 0.5 in place of 0.9, as in DCGAN, damps oscillation",
    )
    discriminator_steps: PositiveInt = Field(default=1, description="discriminator steps per generator step")
    generator_noise: Literal["reuse", "fresh"] = Field(
        default="reuse",
        description="noise of a generator step: that of the last discriminator step, which saves a forward pass, or "
        "fresh noise",
    )
    historical_averaging: NonNegativeFloat = Field(
        default=0.0, description="weight of the squared distance of parameters from the mean of their past values"
    )
    batch_norm: Literal["synchronized", "per_process"] = Field(
        default="synchronized", description="batch-norm statistics: of the whole batch or of each process's share"
    )
    monitor: str | None = Field(
        default=None, description="validation metric whose lowest value makes the best checkpoint"
    )
