"""What a system is: a model and an objective, their sections of the config, and the trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from deepgen_fast.config.sections import DataConfig, Section, TrainerConfig
from deepgen_fast.config.sentences import SentenceDataConfig
from deepgen_fast.training.trainer import Trainer


@dataclass(frozen=True)
class System:
    """What ``deepgen-fast train NAME`` builds, and what trains it.

    Attributes:
        name: of the command and in config files.
        title: in a sentence.
        model, objective, settings: classes of the config's sections ``model``, ``objective`` and ``trainer``.
        build_model: from the section ``model`` and the shape of one example (None: as the section says).
        build_objective: from the section ``objective``.
        trainer: called with model and objective; its ``kind`` says what can be done with the trained model.
        needs_pixels: of the section ``model``: who needs examples in [0, 1], and the setting of ``model`` that takes
            others; None where any values will do.
        binarizes: whether gray pixels may be made binary.
        labeled: whether batches are pairs of examples and labels.
        semi_supervised: whether labels may be missing: then they are ``UNLABELED``, and none are used unless
            ``data.labels_per_class`` says how many.
        examples: flags of the help's examples, beside those that every system has.
        data: class of the config's section ``data``; ``SentenceDataConfig`` where examples are sentences, whose words
            the field ``vocabulary`` of the section ``model`` then tells: the data's, unless it is set.
    """

    name: str
    title: str
    model: type[Section]
    objective: type[Section]
    settings: type[TrainerConfig]
    build_model: Callable[[Any, tuple[int, ...] | None], nn.Module]
    build_objective: Callable[[Any], Any]
    trainer: type[Trainer]
    needs_pixels: Callable[[Any], tuple[str, str] | None] = lambda model: None
    binarizes: bool = False
    labeled: bool = False
    semi_supervised: bool = False
    examples: tuple[str, ...] = ("--data photos/ --image-size 64 --ema-decay 0.999",)
    data: type[DataConfig] = DataConfig

    @property
    def with_article(self) -> str:
        """The title with "a" or "an"."""
        return f"{'an' if self.title[0] in 'aeiou' else 'a'} {self.title}"

    @property
    def of_sentences(self) -> bool:
        """Whether examples are sentences."""
        return issubclass(self.data, SentenceDataConfig)
