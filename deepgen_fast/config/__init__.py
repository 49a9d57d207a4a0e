"""Sections of a run's config."""

from __future__ import annotations

from deepgen_fast.config.gan import GANTrainerConfig
from deepgen_fast.config.sections import ConfigError, DataConfig, TrainerConfig

__all__ = ["ConfigError", "DataConfig", "GANTrainerConfig", "TrainerConfig"]
