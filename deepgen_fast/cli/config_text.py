"""A config as TOML with a comment on every field: what `--show-config` prints."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deepgen_fast.systems import RunConfig


def annotated_toml(config: RunConfig) -> str:
    """Every field of the config; an unset one stands as a comment, as TOML has no null."""
    import tomli_w

    lines = [f'system = "{config.system}"', ""]
    for section_name in type(config).model_fields:
        section: BaseModel = getattr(config, section_name)
        lines += [f"[{section_name}]"]
        values = section.model_dump(mode="json")
        for name, field in type(section).model_fields.items():
            value = values[name]
            setting = f"# {name} =" if value is None else tomli_w.dumps({name: value}).strip()
            lines.append(f"{_on_one_line(setting):<34}# {_meaning(field)}")
        lines.append("")
    return "\n".join(lines)


def _on_one_line(setting: str) -> str:
    return " ".join(setting.split()).replace("[ ", "[").replace(", ]", "]")


def _meaning(field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    text = field.description or ""
    return f"{text}: {', '.join(choices)}" if choices else text


def _choices(annotation: Any) -> list[str]:
    return [choice for choice in get_args(annotation) if isinstance(choice, str)]
