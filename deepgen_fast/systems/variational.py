"""Registering a system that ``VAETrainer`` trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgen_fast.config.sections import DataConfig, Section, TrainerConfig
from deepgen_fast.models.likelihoods import check_variance
from deepgen_fast.objectives import ELBO
from deepgen_fast.systems.from_builder import Build, registers
from deepgen_fast.systems.system import System
from deepgen_fast.training.vae import VAETrainer


def variational_system(
    name: str,
    title: str,
    objective: Callable[..., Any] = ELBO,
    *,
    settings: type[TrainerConfig] = TrainerConfig,
    labeled: bool = False,
    binarizes: bool = True,
    examples: tuple[str, ...] = System.examples,
    data: type[DataConfig] = DataConfig,
) -> Callable[[Build], Build]:
    """Decorates the function that builds a model which ``VAETrainer`` trains: it becomes a system.

    Its first parameter is ``event_shape``, the shape of an example. The others become the config's section ``model``
    and the command's flags: each has an annotation, a default, and a text under ``Args`` in the docstring. What is
    asked of the model is ``deepgen_fast.models.VariationalModel``; a Bernoulli likelihood is a parameter ``likelihood``
    of ``"bernoulli"``.

    Args:
        name, title: as in ``System``.
        objective: a class, or function, whose parameters are the config's section ``objective``; see
            ``objectives.Objective``.
        settings, labeled, binarizes, examples, data: as in ``System``; ``settings`` for defaults of its own.

    Raises:
        TypeError: when a parameter lacks its annotation, default or text.
        ValueError: when there is another system of that name.
    """

    return registers(
        name,
        title,
        objective,
        check_model=_check_likelihood,
        trainer=VAETrainer,
        needs_pixels=_bernoulli,
        settings=settings,
        binarizes=binarizes,
        labeled=labeled,
        examples=examples,
        data=data,
    )


def _check_likelihood(section: Section) -> None:
    values = dict(section)
    if "likelihood" in values and "variance" in values:
        check_variance(values["likelihood"], values["variance"])


def _bernoulli(section: Section) -> tuple[str, str] | None:
    bernoulli = dict(section).get("likelihood") == "bernoulli"
    return ("a Bernoulli likelihood", "likelihood='gaussian'") if bernoulli else None
