"""Config sections from signatures: what builds a model or an objective says by itself what can be set.

A parameter is a field: its annotation, its default and its text in the docstring's ``Args``. So each is written once,
where it is used, and a system needs no config class of its own.
"""

from __future__ import annotations

import copy
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from types import UnionType
from typing import Any, TypeVar, Union

from pydantic import Field, create_model, model_validator

from deepgen_fast.config.sections import Boolean, Number, PositiveInt, Section, Size

SomeSection = TypeVar("SomeSection", bound=Section)

_ARGUMENT = re.compile(r"^ {4}((?:\w+, )*\w+): (.*)$")


def section_of(
    build: Callable[..., Any],
    name: str,
    title: str,
    given: Sequence[str] = (),
    check: Callable[[Section], Any] | None = None,
) -> type[Section]:
    """The section whose fields are the parameters of ``build``.

    Args:
        build: a function, or a class, which is then described by the docstring of the class whose constructor it has.
            One that takes ``**options`` hands them on to its base: their parameters are fields too, as the base
            describes them.
        name: of the section's class.
        title: its docstring.
        given: parameters that do not come from the config.
        check: called with a section whose fields are right one by one; raises ValueError when they do not go together.

    Raises:
        TypeError: a parameter without an annotation, a default or a text under ``Args``: a defect of ``build``.
    """
    fields: dict[str, Any] = {}
    for owner, parameter in _parameters(build):
        if parameter.name in given or parameter.name in fields:
            continue
        hints = typing.get_type_hints(owner.__init__ if inspect.isclass(owner) else owner)
        texts = argument_texts(owner)
        missing = [
            what
            for what, lacks in (
                ("annotation", parameter.name not in hints),
                ("default", parameter.default is inspect.Parameter.empty),
                ("text under Args", parameter.name not in texts),
            )
            if lacks
        ]
        if missing:
            raise TypeError(f"{owner.__name__}: parameter {parameter.name} has no {', '.join(missing)}")
        annotation = _as_field(hints[parameter.name])
        fields[parameter.name] = (annotation, Field(default=parameter.default, description=texts[parameter.name]))
    return create_model(name, __base__=Section, __doc__=title, __validators__=_validators(check), **fields)


def _validators(check: Callable[[Section], Any] | None) -> dict[str, Any]:
    def checked(section: SomeSection) -> SomeSection:
        assert check is not None
        check(section)
        return section

    return {} if check is None else {"_check": model_validator(mode="after")(checked)}


def _parameters(build: Callable[..., Any]) -> Iterator[tuple[Any, inspect.Parameter]]:
    """(who describes it, parameter) of ``build``, then of the base that its ``**options`` go to."""
    owner = next(base for base in build.__mro__ if "__init__" in vars(base)) if inspect.isclass(build) else build
    handed_on = False
    for parameter in inspect.signature(owner).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and inspect.isclass(owner):
            handed_on = True
        else:
            yield owner, parameter
    if handed_on:
        yield from _parameters(owner.__mro__[1])  # type: ignore[attr-defined]


def model_section(
    build: Callable[..., Any], name: str, title: str, check: Callable[[Section], Any] | None = None
) -> type[Section]:
    """``section_of`` a model's builder, whose first parameter is the shape of one example."""
    return create_model(
        name,
        __base__=section_of(build, f"{name}Fields", title, given=("event_shape",), check=check),
        __doc__=title,
        event_shape=(
            tuple[PositiveInt, ...] | None,
            Field(default=None, description="shape of one example; the data's if unset"),
        ),
    )


def with_defaults(section: type[SomeSection], **defaults: Any) -> type[SomeSection]:
    """The section with other defaults: settings that suit a system better than those that suit most."""
    fields: dict[str, Any] = {}
    for name, default in defaults.items():
        field = copy.copy(section.model_fields[name])
        field.default = default
        fields[name] = (field.annotation, field)
    return create_model(section.__name__, __base__=section, __doc__=section.__doc__, **fields)


_STRICT: dict[Any, Any] = {int: Size, float: Number, bool: Boolean}


def _as_field(annotation: Any) -> Any:
    """Numbers and booleans become those of the other sections; a sequence becomes a tuple: sections are frozen."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Sequence:
        return tuple.__class_getitem__((_as_field(arguments[0]), ...))
    if origin in (Union, UnionType):
        return Union[tuple(_as_field(argument) for argument in arguments)]  # noqa: UP007 (made at run time)
    return _STRICT.get(annotation, annotation) if isinstance(annotation, type) else annotation


def argument_texts(build: Callable[..., Any]) -> dict[str, str]:
    """Parameter -> its text under ``Args:``, on one line, without the last full stop."""
    texts: dict[str, str] = {}
    names: list[str] = []
    lines = inspect.getdoc(build) or ""
    inside = False
    for line in lines.splitlines():
        if line == "Args:":
            inside = True
        elif inside and line and not line.startswith(" "):
            break
        elif inside and (found := _ARGUMENT.match(line)):
            names = found[1].split(", ")
            texts.update(dict.fromkeys(names, found[2]))
        elif inside and line.strip():
            texts.update({name: f"{texts[name]} {line.strip()}" for name in names})
    return {name: text.replace("``", "").rstrip(".") for name, text in texts.items()}
