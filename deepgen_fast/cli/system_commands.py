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
    "vae": "The loss is in nats per example, summed over pixels, and so are its two parts.",
}
_PANELS = {"data": "Data", "model": "Model", "objective": "Objective", "trainer": "Training"}
#: Flags that are not named after their field, where that says too little or two sections have it.
_NAMES = {
    ("data", "name"): ("--data",),
    ("objective", "kind"): ("--objective",),
    ("objective", "warmup_steps"): ("--kl-warmup-steps",),
    ("trainer", "learning_rate"): ("--learning-rate", "--lr"),
}
_METAVARS = {("data", "name"): "NAME|PATH", ("data", "image_size"): "PIXELS"}
#: Fields of a model that have no flag: the data say them.
_WITHOUT_FLAG = ("event_shape", "vocabulary")

_HELP = """Train {title}.

    Data are checked before training starts. Ctrl-C finishes the step, writes a checkpoint and stops;
    --resume goes on from there. {remark} Under `torchrun -m deepgen_fast.cli` processes share the batches.

    Examples:

        deepgen-fast train {name}

        {examples}

        deepgen-fast train {name} --show-config > my.toml

        deepgen-fast train {name} --config my.toml --epochs 100

        deepgen-fast train {name} --resume runs/mine --epochs 200
    """


class SystemCommands(TyperGroup):
    """The group `train`: a command for every system."""

    def list_commands(self, ctx: Any) -> list[str]:
        from deepgen_fast.systems import systems

        return [*super().list_commands(ctx), *systems()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from deepgen_fast.systems import systems

        system = systems().get(cmd_name)
        if system is None:
            return super().get_command(ctx, cmd_name)
        alone = typer.Typer(rich_markup_mode="markdown", add_completion=False)
        alone.command(cmd_name)(system_command(system))
        return typer.main.get_command(alone)


def fields_of(system: System) -> Iterator[tuple[str, str, FieldInfo]]:
    """(section, name, field) of every field that has a flag."""
    from deepgen_fast.config import DataConfig, TrainerConfig

    of_data = ["name"] if system.of_sentences else ["name", "image_size"]
    of_data += ["binarize"] * system.binarizes + ["labels_per_class"] * system.semi_supervised
    of_data += [name for name in system.data.model_fields if name not in DataConfig.model_fields]
    for name in of_data:
        yield "data", name, system.data.model_fields[name]
    sections = {"model": system.model, "objective": system.objective, "trainer": system.settings}
    settings = _SETTINGS + _SETTINGS_OF.get(system.trainer.kind, ())
    for section, config in sections.items():
        for name, field in config.model_fields.items():
            shared = section == "trainer" and name in TrainerConfig.model_fields
            if name not in _WITHOUT_FLAG and (not shared or name in settings):
                yield section, name, field


def system_command(system: System) -> Callable[..., None]:
    """The function that Typer makes a command of: flags of the run, of the data, and of the config's fields."""
    annotations: dict[str, Any] = dict(RUN_FLAGS)
    targets, lists = {}, set()
    for section, name, field in fields_of(system):
        parameter = flag_names(section, name)[0].removeprefix("--").replace("-", "_")
        annotations[parameter] = _flag(section, name, field)
        targets[parameter] = f"{section}.{name}"
        if _scalar(field.annotation) is str and not _is_text(field.annotation):
            lists.add(parameter)

    def command(**given: Any) -> None:
        from deepgen_fast.config.toml import toml_value

        run = {name: given.pop(name) for name in RUN_FLAGS}
        values = {
            targets[name]: toml_value(value) if name in lists and value is not None else value
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
        title=system.with_article,
        name=system.name,
        remark=_REMARKS[system.trainer.kind],
        examples="\n\n        ".join(f"deepgen-fast train {system.name} {flags}" for flags in system.examples),
    )
    return made


def flag_names(section: str, name: str) -> tuple[str, ...]:
    """The names of a field's flag; of a boolean's, the one that sets it."""
    return _NAMES.get((section, name), (f"--{name.replace('_', '-')}",))


def _flag(section: str, name: str, field: FieldInfo) -> Any:
    choices = list(_choices(field.annotation))
    text = field.description or ""
    # Not beside the flag: a wide column there cuts the names of flags on a terminal of 80 characters.
    if any(choice not in text for choice in choices):
        text += f" ({', '.join(choices[:-1])} or {choices[-1]})"
    if text.split()[0].isalpha() and text.split()[0] not in choices:
        text = text[:1].upper() + text[1:]
    names = flag_names(section, name)
    default = "unset" if field.default is None else str(field.default)
    if bool in _parts(field.annotation):
        flag = names[0].removeprefix("--")
        names, default = (f"--{flag}/--no-{flag}",), f"{'' if field.default else 'no-'}{flag}"
    option = typer.Option(
        *names,
        help=f"{text}.",
        show_default=default,
        rich_help_panel=_PANELS[section],
        metavar="CHOICE" if choices else _METAVARS.get((section, name)),
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
