"""Settings of runs on sentences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deepgen_fast.config.sections import DataConfig, PositiveFloat, PositiveInt, TrainerConfig


class SentenceDataConfig(DataConfig):
    """What to train on; see ``deepgen_fast.data.load_sentences``."""

    name: str = Field(default="pydoc", description="the corpus pydoc, or a .txt file with one sentence a line")
    min_words: PositiveInt = Field(default=4, description="of a sentence; shorter ones are left out")
    max_words: PositiveInt = Field(default=20, description="of a sentence; longer ones are left out")
    min_count: PositiveInt = Field(default=2, description="how often a word must come to be known")


class SentenceTrainerConfig(TrainerConfig):
    """How to train; see ``deepgen_fast.training.VAETrainer``."""

    epochs: PositiveInt = Field(default=16, description="passes over the training data")
    batch_size: PositiveInt = Field(default=32, description="examples a step")
    learning_rate: PositiveFloat = Field(default=4e-3, description="of Adam, at its highest")
    schedule: Literal["none", "cosine", "step"] = Field(default="cosine", description="learning rate over the run")
    gradient_clip: PositiveFloat | None = Field(default=5.0, description="largest norm of the gradient")
