"""Configuration of a run: validated models, read from and written to TOML.

A run directory's ``config.toml`` holds all of it, so that the same file gives the same run.
"""

from __future__ import annotations

import operator
import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

import numpy
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

if sys.version_info >= (3, 11):
    import tomllib
else:  # Python 3.10
    import tomli as tomllib

# A boolean is no number and a number no boolean. Of integers, those that torch's sizes and TOML's numbers can hold.
_LARGEST = 2**63 - 1
_LARGEST_SIZE = 2**31 - 1
_AS_INTEGER = BeforeValidator(lambda value: operator.index(value) if isinstance(value, numpy.integer) else value)
Size = Annotated[int, _AS_INTEGER, Field(strict=True, ge=-_LARGEST_SIZE, le=_LARGEST_SIZE)]
PositiveInt = Annotated[int, _AS_INTEGER, Field(strict=True, ge=1, le=_LARGEST_SIZE)]
NonNegativeInt = Annotated[int, _AS_INTEGER, Field(strict=True, ge=0, le=_LARGEST_SIZE)]
Seed = Annotated[int, _AS_INTEGER, Field(strict=True, ge=0, le=_LARGEST)]
ByteCount = Annotated[int, _AS_INTEGER, Field(strict=True, ge=1, le=_LARGEST)]
Workers = Annotated[int, _AS_INTEGER, Field(strict=True, ge=0, le=4096)]  # processes or threads of one machine
Boolean = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
PositiveFloat = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(strict=True, ge=0, lt=1)]


class ConfigError(ValueError):
    """A config that cannot be used; the message names the field, what was expected and what came."""


class Section(BaseModel):
    """A section of a config file: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DataConfig(Section):
    """What to train on; see ``deepgen_fast.data.load_dataset``."""

    name: str = Field(
        default="mnist5k", description="mnist5k, digits, an .npz/.npy file, a folder, or a torchvision data set"
    )
    image_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = Field(
        default=None, description="resize images to (height, width)"
    )
    image_shape: tuple[PositiveInt, ...] | None = Field(
        default=None, description="shape of one example, for flat arrays"
    )
    image_mode: Literal["L", "RGB"] | None = Field(default=None, description="grey or colour, for a folder")
    values: Literal["unit", "byte", "any"] = Field(default="unit", description="what the numbers of an array are")
    array_key: str | None = Field(default=None, description="which array of an .npz")
    validation_fraction: Fraction = Field(default=0.1, description="part of the training data held out for validation")
    test_fraction: Fraction = Field(default=0.1, description="part held out for testing, where there is no test set")
    split_seed: Seed = Field(default=0, description="of the division; not the seed of training")
    labels_per_class: NonNegativeInt | None = Field(
        default=None,
        description="labels of each class that training may use, chosen by split_seed, for systems that learn from "
        "few; none if unset",
    )
    binarize: Literal["none", "threshold", "stochastic"] = Field(
        default="none", description="grey pixels to binary ones"
    )
    root: str = Field(default="data", description="folder of torchvision's files")
    download: Boolean = Field(default=False, description="whether torchvision may download")
    num_workers: Workers = Field(default=0, description="reader processes, for data too large for memory")
    in_memory_limit: ByteCount = Field(default=2 << 30, description="bytes up to which images are held in memory")


class ModelConfig(Section):
    """Which VAE; see ``deepgen_fast.models``."""

    architecture: Literal["two_layer", "convolutional"] = Field(default="two_layer", description="kind of network")
    event_shape: tuple[PositiveInt, ...] | None = Field(
        default=None, description="shape of one example; the data's if unset"
    )
    hidden_dim: PositiveInt = Field(default=512, description="hidden units, two_layer")
    channels: tuple[PositiveInt, ...] = Field(default=(32, 64), description="channels of the layers, convolutional")
    latent_dim: PositiveInt = Field(default=16, description="size of z")
    likelihood: Literal["bernoulli", "gaussian"] = Field(default="bernoulli", description="p(x|z)")
    variance: Literal["unit", "shared", "per_pixel"] = Field(
        default="unit", description="variance of the Gaussian p(x|z)"
    )
    scale: Literal["logvar", "std", "pre_softplus", "softplus_sigmoid"] = Field(
        default="logvar", description="how the encoder states sigma"
    )
    activation: Literal["relu", "sigmoid", "tanh", "silu", "leaky_relu"] = Field(
        default="relu", description="non-linearity"
    )

    @model_validator(mode="after")
    def _variance_is_gaussian(self) -> ModelConfig:
        if self.variance != "unit" and self.likelihood != "gaussian":
            raise ValueError(f"variance={self.variance!r} needs likelihood='gaussian', got {self.likelihood!r}")
        return self


class ObjectiveConfig(Section):
    """What to minimise; see ``deepgen_fast.objectives``."""

    kind: Literal["elbo", "importance_weighted"] = Field(default="elbo", description="which bound")
    beta: NonNegativeFloat = Field(default=1.0, description="weight of the KL")
    warmup_steps: NonNegativeInt = Field(default=0, description="steps over which beta rises from 0")
    free_bits: NonNegativeFloat = Field(default=0.0, description="nats a latent dimension may use for nothing")
    num_samples: PositiveInt | None = Field(default=None, description="samples of z an example; 1 if unset")

    @model_validator(mode="after")
    def _fields_of_kind(self) -> ObjectiveConfig:
        if self.kind == "importance_weighted":
            if self.num_samples is None:
                raise ValueError("num_samples: the importance-weighted bound needs it, such as 50")
            if self.beta != 1.0 or self.warmup_steps or self.free_bits:
                raise ValueError("beta, warmup_steps and free_bits belong to kind='elbo'")
        return self


class TrainerConfig(Section):
    """How to train; see ``deepgen_fast.trainers.VAETrainer``."""

    epochs: PositiveInt = Field(default=50, description="passes over the training data")
    batch_size: PositiveInt = Field(default=128, description="examples a step")
    drop_last: Boolean = Field(default=False, description="leave out a last, smaller batch")
    learning_rate: PositiveFloat = Field(default=1e-3, description="of Adam, at its highest")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="decoupled (AdamW)")
    schedule: Literal["none", "cosine", "step"] = Field(default="none", description="learning rate over the run")
    warmup_steps: NonNegativeInt = Field(default=0, description="steps over which the learning rate rises from 0")
    decay_epochs: PositiveInt = Field(default=20, description="epochs between two drops, schedule step")
    decay_factor: Annotated[float, Field(strict=True, gt=0, le=1)] = Field(
        default=0.5, description="factor of a drop, schedule step"
    )
    final_fraction: Fraction = Field(default=0.0, description="of the learning rate left at the end, schedule cosine")
    gradient_clip: PositiveFloat | None = Field(default=None, description="largest norm of the gradient")
    precision: Literal["float32", "bf16"] = Field(
        default="float32", description="of the networks; weights stay float32"
    )
    ema_decay: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = Field(
        default=None, description="moving average of the weights"
    )
    early_stopping: PositiveInt | None = Field(
        default=None, description="validations without improvement before stopping"
    )
    min_improvement: NonNegativeFloat = Field(default=0.0, description="nats by which the validation loss must fall")
    validate_every: PositiveInt = Field(default=1, description="epochs")
    sample_every: NonNegativeInt = Field(default=10, description="epochs between sample grids; 0 for the last only")
    log_every_steps: PositiveInt | None = Field(
        default=None, description="also write the loss to TensorBoard every so many"
    )
    tensorboard: Boolean = Field(default=True, description="write TensorBoard files into the run directory")
    checkpoint_seconds: NonNegativeFloat = Field(
        default=60.0, description="between two checkpoints; 0 writes one at every step"
    )
    checkpoint_every: PositiveInt | None = Field(default=None, description="epochs between further checkpoints")
    keep_checkpoints: PositiveInt = Field(default=2, description="of the latest, beside the best")
    finite_check_steps: PositiveInt | None = Field(
        default=None, description="steps between checks for a non-finite loss; on the CPU 1, elsewhere 50 if unset"
    )
    progress: Literal["auto", "bar", "lines", "none"] = Field(
        default="auto", description="auto: a bar on a terminal, else lines"
    )
    threads: Annotated[Workers, Field(ge=1)] | None = Field(
        default=None, description="of torch on the CPU; torch's own choice if unset"
    )
    device: str = Field(default="auto", description="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one")
    seed: Seed = Field(default=0, description="decides initial weights, order of examples and noise")


class RunConfig(Section):
    """Everything that decides a run: of a VAE, or of another system through ``for_system``.

    In a file, the system is named at the top (``system = "dcgan"``), a VAE's need not be.
    """

    system: ClassVar[str] = "vae"

    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    trainer: TrainerConfig = Field(default_factory=TrainerConfig)

    @model_validator(mode="after")
    def _data_serves_the_model(self) -> RunConfig:
        system = _systems().system_named(self.system)
        pixels = system.needs_pixels(self.model)
        if self.data.values == "any" and pixels is not None:
            raise ValueError(f"data.values='any' needs model.{pixels[1]}: {pixels[0]} takes values in [0, 1]")
        if self.data.binarize != "none" and not system.binarizes:
            raise ValueError(f"data.binarize={self.data.binarize!r}: {system.title}s are trained on pixels as they are")
        if self.data.labels_per_class is not None and not system.semi_supervised:
            needs = "all labels" if system.labelled else "no labels"
            raise ValueError(f"data.labels_per_class={self.data.labels_per_class}: a {system.title} takes {needs}")
        return self

    @classmethod
    def for_system(cls, name: str) -> type[RunConfig]:
        """The config class of a system, with its sections ``model``, ``objective`` and ``trainer``.

        Raises:
            ConfigError: for a name that is not registered.
        """
        return _systems().run_config_class(name)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "config") -> RunConfig:
        """Validate nested values; ``system`` among them names the system, this class's own when missing.

        Raises:
            ConfigError: naming every wrong or unknown field and ``source``.
        """
        values = dict(values)
        name = values.pop("system", cls.system)
        try:
            chosen = cls if name == cls.system else cls.for_system(name)
            return chosen.model_validate(values)
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
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except RecursionError as error:
            raise ConfigError(f"{path}: not valid TOML: nested too deeply") from error
        except ValueError as error:  # TOML's and UTF-8's errors, and numbers of thousands of digits
            raise ConfigError(f"{path}: not valid TOML: {error}") from error
        return cls.from_mapping(values, source=str(path))

    def to_toml(self) -> str:
        """The whole config as TOML, defaults written out; unset fields are left out, as TOML has no null."""
        import tomli_w

        values = self.model_dump(mode="json", exclude_none=True)
        return tomli_w.dumps(values if self.system == RunConfig.system else {"system": self.system, **values})

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


# Of what came, as much as tells it apart: it may fill a screen, or be nested too deeply to be shown.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def _systems() -> ModuleType:
    """The registry, which holds trainers, which need this module."""
    from deepgen_fast.trainers import systems

    return systems


def describe(error: ValidationError) -> str:
    """Pydantic's findings in one line: field, what is wrong, what came."""
    findings = []
    for item in error.errors():
        # Of a union's members pydantic names the validators, too, which say nothing to a user.
        parts = [part for part in map(str, item["loc"]) if part.replace("_", "").isalnum()]
        field = ".".join(parts) or "config"
        if item["type"] == "extra_forbidden":
            findings.append(f"{field}: no such field")
        elif item["type"] == "value_error":
            findings.append(f"{field}: {item['ctx']['error']}")
        else:
            message = item["msg"][0].lower() + item["msg"][1:]
            findings.append(f"{field}: {message}, got {_SHORT.repr(item['input'])}")
    return "; ".join(findings)
