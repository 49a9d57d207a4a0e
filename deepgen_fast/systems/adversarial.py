"""Registering a system that ``GANTrainer`` trains."""

from __future__ import annotations

from collections.abc import Callable

from deepgen_fast.config.gan import GANTrainerConfig
from deepgen_fast.config.sections import Section, TrainerConfig
from deepgen_fast.objectives import AdversarialObjective, GANObjective
from deepgen_fast.systems.from_builder import Build, registers
from deepgen_fast.systems.system import System
from deepgen_fast.training.gan.trainer import GANTrainer


def adversarial_system(
    name: str,
    title: str,
    objective: type[GANObjective] = AdversarialObjective,
    *,
    labeled: bool = False,
    settings: type[TrainerConfig] = GANTrainerConfig,
    examples: tuple[str, ...] = System.examples,
) -> Callable[[Build], Build]:
    """Decorates the function that builds a model which ``GANTrainer`` trains: it becomes a system.

    Its first parameter is ``event_shape``, the shape of an example. The others become the config's section ``model``
    and the command's flags: each has an annotation, a default, and a text under ``Args`` in the docstring. What is
    asked of the model is ``deepgen_fast.models.AdversarialModel``.

    Args:
        name, title: as in ``System``.
        objective: a class whose parameters are the config's section ``objective``; see ``objectives.GANObjective``.
            When it is ``semi_supervised``, so is the system.
        labeled, settings, examples: as in ``System``; ``settings`` for defaults of its own.

    Raises:
        TypeError: when a parameter lacks its annotation, default or text.
        ValueError: when there is another system of that name.
    """

    return registers(
        name,
        title,
        objective,
        trainer=GANTrainer,
        needs_pixels=_bounded,
        settings=settings,
        labeled=labeled or objective.semi_supervised,
        semi_supervised=objective.semi_supervised,
        examples=examples,
    )


def _bounded(section: Section) -> tuple[str, str] | None:
    values = dict(section)
    output = values.get("output", "tanh")
    otherwise = "output='linear'" if "output" in values else "another system"
    return None if output == "linear" else (f"a generator that ends in {output}", otherwise)
