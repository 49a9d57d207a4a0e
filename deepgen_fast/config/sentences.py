"""Settings of runs on sentences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deepgen_fast.config.sections import DataConfig, PositiveFloat, PositiveInt, TrainerConfig


class SentenceDataConfig(DataConfig):
    """What to train on; see ``deepgen_fast.data.load_sentences``."""

    name: str = Field(default="pydoc", description="the corpus pydoc, or a .txt file with one sentence a line")
    min_words: PositiveInt = Field(default=4, description="minimum number of words; shorter sentences are left out")
    max_words: PositiveInt = Field(default=20, description="maximum number of words; longer sentences are left out")
    min_count: PositiveInt = Field(default=2, description="minimum count for a word to enter the vocabulary")


class SentenceTrainerConfig(TrainerConfig):
    """How to train; see ``deepgen_fast.training.VAETrainer``."""

    epochs: PositiveInt = Field(default=16, description="passes over the training data")
    batch_size: PositiveInt = Field(default=32, description="sentences per step")
    learning_rate: PositiveFloat = Field(default=4e-3, description="peak learning rate of Adam")
    schedule: Literal["none", "cosine", "step"] = Field(default="cosine", description="learning-rate schedule")
    gradient_clip: PositiveFloat | None = Field(default=5.0, description="maximum norm of the gradient")
