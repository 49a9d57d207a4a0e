"""A system from the function that builds its model and the class of its objective: their parameters are its config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from deepgen_fast.config.from_signature import model_section, section_of
from deepgen_fast.config.sections import Section
from deepgen_fast.models.event_shape import agreed_event_shape
from deepgen_fast.systems.registry import register
from deepgen_fast.systems.system import System

Build = TypeVar("Build", bound=Callable[..., nn.Module])


def registers(name: str, title: str, objective: Callable[..., Any], **options: Any) -> Callable[[Build], Build]:
    """A decorator that registers the ``system_of`` what it decorates, which stays as it is."""

    def decorate(build: Build) -> Build:
        register(system_of(name, title, build, objective, **options))
        return build

    return decorate


def system_of(
    name: str,
    title: str,
    build: Callable[..., nn.Module],
    objective: Callable[..., Any],
    *,
    check_model: Callable[[Section], None] | None = None,
    **options: Any,
) -> System:
    """The system whose sections ``model`` and ``objective`` are the parameters of ``build`` and of ``objective``.

    Args:
        name, title: as in ``System``.
        build: makes the model of ``event_shape``, its first parameter, and of its other parameters.
        objective: makes the objective.
        check_model: raises ValueError for values of the section ``model`` that do not go together.
        options: the other fields of ``System``.

    Raises:
        TypeError: when a parameter lacks its annotation, default or text: a defect of ``build`` or ``objective``.
    """

    def build_model(section: Any, event_shape: tuple[int, ...] | None) -> nn.Module:
        values = section.model_dump()
        return build(agreed_event_shape(values.pop("event_shape"), event_shape), **values)

    def build_objective(section: Any) -> Any:
        return objective(**section.model_dump())

    return System(
        name,
        title,
        model=model_section(
            build, f"{name}_model", f"Which {title}; see ``{build.__module__}.{build.__qualname__}``.", check_model
        ),
        objective=section_of(objective, f"{name}_objective", "What to minimize.", check=build_objective),
        build_model=build_model,
        build_objective=build_objective,
        **options,
    )
