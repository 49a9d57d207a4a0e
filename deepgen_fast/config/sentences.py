"""Data of runs on sentences."""

from __future__ import annotations

from pydantic import Field

from deepgen_fast.config.sections import DataConfig, PositiveInt


class SentenceDataConfig(DataConfig):
    """What to train on; see ``deepgen_fast.data.load_sentences``."""

    name: str = Field(default="pydoc", description="the corpus pydoc, or a .txt file with one sentence a line")
    min_words: PositiveInt = Field(default=4, description="minimum number of words; shorter sentences are left out")
    max_words: PositiveInt = Field(default=20, description="maximum number of words; longer sentences are left out")
    min_count: PositiveInt = Field(default=2, description="minimum count for a word to enter the vocabulary")
