"""`deepgen-fast train NAME` for every registered system: the flags are the fields of its config.

Made when asked for, as the registry imports all trainers, and the help of other commands should not wait for that.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from deepgen_fast.cli import options as flags
from deepgen_fast.cli.train import RUN_FLAGS, train_run

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from deepgen_fast.systems import System

#: Of the settings that all trainers have, those with a flag; a system's own settings all have one.
_SETTINGS = (
    "epochs", "batch_size", "learning_rate", "schedule", "gradient_clip", "precision", "ema_decay", "sample_every",
    "device", "threads", "progress", "seed",
)  # fmt: skip
#: By kind of trainer: further ones, and what its help says of a run.
_SETTINGS_OF = {"vae": ("early_stopping",)}
_REMARKS = {
    "gan": "What goes wrong between the players (mode collapse, a discriminator that wins) is said while it happens.",
    "vae": "The loss is in nats per example, and so are its two parts.",
}
_PANELS = {"data": flags.DATA, "model": flags.MODEL, "objective": flags.OBJECTIVE, "trainer": flags.TRAINING}
_ALIASES = {"learning_rate": ("--learning-rate", "--lr"), "name": ("--data",)}
#: Fields of a model that have no flag.
_SAID_BY_DATA = ("event_shape", "vocabulary")
_HAND_WRITTEN = "vae"  # whose flags say more than the fields' descriptions

_HELP = """Train a {title}.

    Data are checked before training starts. Ctrl-C finishes the step, writes a checkpoint and stops;
    --resume goes on from there. {remark} Under `torchrun -m deepgen_fast.cli` processes share the batches.

    Examples:

        deepgen-fast train {name}

        deepgen-fast train {name}{example_data} --ema-decay 0.999 -o runs/mine

        deepgen-fast train {name} --show-config > my.toml

        deepgen-fast train {name} --config my.toml --epochs 100

        deepgen-fast train {name} --resume runs/mine --epochs 200
    """


class SystemCommands(TyperGroup):
    """The group `train`: the command for VAEs, and one for every other system of the registry."""

    def list_commands(self, ctx: Any) -> list[str]:
        from deepgen_fast.systems import SYSTEMS

        return [*super().list_commands(ctx), *(name for name in SYSTEMS if name != _HAND_WRITTEN)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        from deepgen_fast.systems import SYSTEMS

        if cmd_name not in SYSTEMS:
            return None
        alone = typer.Typer(rich_markup_mode="markdown", add_completion=False)
        alone.command(cmd_name)(system_command(SYSTEMS[cmd_name]))
        return typer.main.get_command(alone)


def fields_of(system: System) -> Iterator[tuple[str, str, FieldInfo]]:
    """(section, name, field) of every field that has a flag."""
    from deepgen_fast.config import DataConfig, TrainerConfig

    for name, field in system.data.model_fields.items():
        if name not in DataConfig.model_fields:
            yield "data", name, field
    sections = {"model": system.model, "objective": system.objective, "trainer": system.settings}
    settings = _SETTINGS + _SETTINGS_OF.get(system.trainer.kind, ())
    for section, config in sections.items():
        for name, field in config.model_fields.items():
            shared = section == "trainer" and name in TrainerConfig.model_fields
            if name not in _SAID_BY_DATA and (not shared or name in settings):
                yield section, name, field


def system_command(system: System) -> Callable[..., None]:
    """The function that Typer makes a command of: flags of the run, of the data, and of the config's fields."""
    annotations: dict[str, Any] = dict(RUN_FLAGS)
    targets = {name: flags.FIELDS[name] for name in ("data", "image_size", "binarize")}
    if system.of_sentences:
        annotations["data"] = _flag("data", "name", system.data.model_fields["name"])
    else:
        annotations |= {"data": flags.DataName, "image_size": flags.ImageSize}
    if system.binarizes:
        annotations["binarize"] = flags.Binarize
    if system.semi_supervised:
        annotations["labels_per_class"] = flags.LabelsPerClass
        targets["labels_per_class"] = "data.labels_per_class"
    lists = set()
    for section, name, field in fields_of(system):
        annotations[name] = _flag(section, name, field)
        targets[name] = f"{section}.{name}"
        if _scalar(field.annotation) is str and not _is_text(field.annotation):
            lists.add(name)

    def command(**given: Any) -> None:
        run = {name: given.pop(name) for name in RUN_FLAGS}
        values = {
            targets[name]: flags.toml_value(value) if name in lists and value is not None else value
            for name, value in given.items()
        }
        train_run(system.name, values, **run)

    defaults = {name: False if name == "show_config" else None for name in annotations}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=defaults[name], annotation=annotation)
        for name, annotation in annotations.items()
    ]
    made: Any = command
    made.__signature__ = inspect.Signature(parameters)
    made.__annotations__ = annotations
    made.__doc__ = _HELP.format(
        title=system.title,
        name=system.name,
        remark=_REMARKS[system.trainer.kind],
        example_data=f" {system.example_data}" if system.example_data else "",
    )
    return made


def _flag(section: str, name: str, field: FieldInfo) -> Any:
    choices = list(_choices(field.annotation))
    text = field.description or ""
    text = f"{text[:1].upper()}{text[1:]}."
    # Not beside the flag: a wide column there cuts the names of flags on a terminal of 80 characters.
    if any(choice not in text for choice in choices):
        text += f" {', '.join(choices[:-1])} or {choices[-1]}."
    flag = name.replace("_", "-")
    names: tuple[str, ...]
    if bool in _parts(field.annotation):
        names, default = (f"--{flag}/--no-{flag}",), f"{'' if field.default else 'no-'}{flag}"
    else:
        names = _ALIASES.get(name, (f"--{flag}",))
        default = "unset" if field.default is None else str(field.default)
    option = typer.Option(
        *names,
        help=text,
        show_default=default,
        rich_help_panel=_PANELS[section],
        metavar="CHOICE" if choices else None,
    )
    return Annotated[_scalar(field.annotation) | None, option]


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, one for anything else; without their constraints."""
    if typing.get_origin(annotation) is Annotated:
        return _parts(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(part for member in typing.get_args(annotation) for part in _parts(member))
    return (annotation,)


def _scalar(annotation: Any) -> Any:
    """What the flag's text is read as: a number, or a text that the config makes something of."""
    parts = _parts(annotation)
    return next((kind for kind in (bool, int, float) if kind in parts), str)


def _is_text(annotation: Any) -> bool:
    return str in _parts(annotation) or any(True for _ in _choices(annotation))


def _choices(annotation: Any) -> Iterator[str]:
    for part in _parts(annotation):
        if typing.get_origin(part) is typing.Literal:
            yield from typing.get_args(part)
