"""Settings of a GAN's training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deepgen_fast.config.sections import Boolean, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, TrainerConfig


class GANTrainerConfig(TrainerConfig):
    """How to train two players; see ``deepgen_fast.training.GANTrainer``."""

    epochs: PositiveInt = Field(default=25, description="passes over the training data")
    batch_size: PositiveInt = Field(default=64, description="real examples a discriminator step, and as many generated")
    drop_last: Boolean = Field(
        default=True, description="leave out a last, smaller batch, which batch norm would see as another distribution"
    )
    learning_rate: PositiveFloat = Field(default=2e-4, description="of the generator's Adam, at its highest")
    discriminator_learning_rate: PositiveFloat | None = Field(
        default=None, description="of the discriminator's Adam, at its highest; as the generator's if unset"
    )
    adam_betas: tuple[Fraction, Fraction] = Field(
        default=(0.5, 0.999), description="of both Adams; 0.5 in place of 0.9, as in DCGAN, against oscillation"
    )
    discriminator_steps: PositiveInt = Field(
        default=1, description="K of Algorithm 13.1: discriminator steps to one generator step"
    )
    generator_noise: Literal["reuse", "fresh"] = Field(
        default="reuse",
        description="z of a generator step: that of the last discriminator step, which saves a pass, or drawn anew as "
        "in Algorithm 13.1",
    )
    historical_averaging: NonNegativeFloat = Field(
        default=0.0,
        description="weight of the squared distance of each player's parameters from the mean of all their past values",
    )
    batch_norm: Literal["synchronized", "per_process"] = Field(
        default="synchronized", description="statistics of a batch that processes share"
    )
    monitor: str | None = Field(
        default=None, description="metric of the validation whose lowest value makes the best checkpoint"
    )
