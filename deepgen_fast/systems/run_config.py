"""Configuration of a run: validated sections, read from and written to TOML.

A run directory's ``config.toml`` holds all of it, so that the same file gives the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError, create_model, model_validator

from deepgen_fast.config.sections import ConfigError, DataConfig, Section, TrainerConfig, describe
from deepgen_fast.config.toml import read_toml
from deepgen_fast.systems.registry import system_named

_DEFAULT = "vae"


class RunConfig(Section):
    """Everything that decides a run. ``RunConfig.for_system(name)`` has the sections of a system.

    In a file, the system is named at the top: ``system = "dcgan"``; ``vae`` where none is.
    """

    system: ClassVar[str]

    data: DataConfig = Field(default_factory=DataConfig)
    model: Section = Field(default_factory=Section)
    objective: Section = Field(default_factory=Section)
    trainer: TrainerConfig = Field(default_factory=TrainerConfig)

    @model_validator(mode="after")
    def _data_serves_the_model(self) -> RunConfig:
        system = system_named(self.system)
        pixels = system.needs_pixels(self.model)
        if self.data.values == "any" and pixels is not None:
            raise ValueError(f"data.values='any' needs model.{pixels[1]}: {pixels[0]} takes values in [0, 1]")
        if self.data.binarize != "none" and not system.binarizes:
            raise ValueError(f"data.binarize={self.data.binarize!r}: {system.title}s are trained on pixels as they are")
        if self.data.labels_per_class is not None and not system.semi_supervised:
            needs = "all labels" if system.labeled else "no labels"
            raise ValueError(f"data.labels_per_class={self.data.labels_per_class}: {system.with_article} takes {needs}")
        return self

    @classmethod
    def for_system(cls, name: str) -> type[RunConfig]:
        """The config class of a system, with its sections ``model``, ``objective`` and ``trainer``.

        Raises:
            ConfigError: for a name that is not registered.
        """
        return run_config_class(name)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "config") -> RunConfig:
        """Validate nested values; ``system`` among them names the system. Where it is missing, it is this class's own;
        of ``RunConfig`` itself, ``vae``.

        Raises:
            ConfigError: naming every wrong or unknown field and ``source``.
        """
        values = dict(values)
        own = _DEFAULT if cls is RunConfig else cls.system
        name = values.pop("system", own)
        try:
            return cls.for_system(name).model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{source}: {describe(error)}") from error
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error

    @classmethod
    def from_toml(cls, path: str | Path) -> RunConfig:
        """Read a TOML file with the sections ``[data]``, ``[model]``, ``[objective]`` and ``[trainer]``.

        Raises:
            ConfigError: when the file is missing, is no TOML, or holds a wrong or unknown field.
        """
        return cls.from_mapping(read_toml(path), source=str(path))

    def to_toml(self) -> str:
        """The whole config as TOML, defaults written out; unset fields are left out, as TOML has no null."""
        import tomli_w

        values = self.model_dump(mode="json", exclude_none=True)
        return tomli_w.dumps({"system": self.system, **values})

    def write_toml(self, path: str | Path) -> None:
        """Write ``to_toml()`` to a file."""
        Path(path).write_text(self.to_toml(), encoding="utf-8")

    def with_overrides(self, overrides: Mapping[str, Any]) -> RunConfig:
        """A copy with some fields changed, validated: ``{"trainer.epochs": 3, "model.latent_dim": 2}``.

        Raises:
            ConfigError: for an unknown section or field, or a wrong value.
        """
        values = self.model_dump()
        for key, value in overrides.items():
            section, _, field = key.partition(".")
            if section not in values or not field:
                raise ConfigError(f"{key}: expected section.field with a section of {', '.join(values)}")
            values[section][field] = value
        return self.from_mapping(values, source="overrides")


@cache
def run_config_class(name: str) -> type[RunConfig]:
    """``RunConfig`` with the sections of a system.

    Raises:
        ConfigError: for a name that is not registered.
    """
    system = system_named(name)
    made = create_model(
        f"RunConfig[{name}]",
        __base__=RunConfig,
        __doc__=f"Everything that decides a run of {system.with_article}.",
        data=(system.data, Field(default_factory=system.data)),
        model=(system.model, Field(default_factory=system.model)),
        objective=(system.objective, Field(default_factory=system.objective)),
        trainer=(system.settings, Field(default_factory=system.settings)),
    )
    made.system = name
    return made
