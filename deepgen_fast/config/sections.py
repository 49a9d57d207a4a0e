"""Sections that every run's config has, and the types of their fields: validated models."""

from __future__ import annotations

import operator
import reprlib
from typing import Annotated, Literal

import numpy
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

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
        default="mnist5k",
        description="mnist5k or digits (both offline), an .npz or .npy file, a folder of images, or the name of a "
        "torchvision data set",
    )
    image_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = Field(
        default=None, description="size in pixels to which images are resized, or (height, width); as they are if unset"
    )
    image_shape: tuple[PositiveInt, ...] | None = Field(
        default=None, description="shape of one example, for flat arrays"
    )
    image_mode: Literal["L", "RGB"] | None = Field(
        default=None, description="image mode of a folder: gray (L) or color (RGB)"
    )
    values: Literal["unit", "byte", "any"] = Field(
        default="unit", description="range of an array's numbers: [0, 1], bytes, or any"
    )
    array_key: str | None = Field(default=None, description="name of the array in an .npz")
    validation_fraction: Fraction = Field(
        default=0.1, description="fraction of the training data held out for validation"
    )
    test_fraction: Fraction = Field(
        default=0.1, description="fraction held out for testing, where there is no test set"
    )
    split_seed: Seed = Field(
        default=0, description="seed of the split into training, validation and test data; not the seed of training"
    )
    labels_per_class: NonNegativeInt | None = Field(
        default=None,
        description="number of labels per class that training may use, such as 10, chosen by split_seed; the others "
        "are hidden from a semi-supervised system; none if unset",
    )
    binarize: Literal["none", "threshold", "stochastic"] = Field(
        default="none",
        description="how gray pixels become binary: none, threshold (at 0.5), or stochastic: each drawn anew at every "
        "visit with its gray value as probability. Only on binary pixels is a Bernoulli log p(x) a log-probability of "
        "the data",
    )
    root: str = Field(default="data", description="folder of torchvision's data sets")
    download: Boolean = Field(default=False, description="let torchvision download the data set")
    num_workers: Workers = Field(default=0, description="number of processes that read data too large for memory")
    in_memory_limit: ByteCount = Field(
        default=2 << 30, description="largest data set, in bytes, that is held in memory"
    )


class TrainerConfig(Section):
    """How to train; see ``deepgen_fast.training.VAETrainer``."""

    epochs: PositiveInt = Field(default=50, description="passes over the training data")
    batch_size: PositiveInt = Field(default=128, description="examples per step")
    drop_last: Boolean = Field(default=False, description="drop a last, smaller batch")
    learning_rate: PositiveFloat = Field(default=1e-3, description="peak learning rate of Adam")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="decoupled weight decay (AdamW)")
    schedule: Literal["none", "cosine", "step"] = Field(default="none", description="learning-rate schedule")
    warmup_steps: NonNegativeInt = Field(default=0, description="steps of linear learning-rate warm-up")
    decay_epochs: PositiveInt = Field(default=20, description="epochs between drops of the step schedule")
    decay_factor: Annotated[float, Field(strict=True, gt=0, le=1)] = Field(
        default=0.5, description="factor of each drop of the step schedule"
    )
    final_fraction: Fraction = Field(
        default=0.0, description="fraction of the learning rate left at the end of the cosine schedule"
    )
    gradient_clip: PositiveFloat | None = Field(
        default=None, description="maximum norm of the gradient, for runs that diverge"
    )
    precision: Literal["float32", "bf16"] = Field(
        default="float32",
        description="precision of the networks, float32 or bf16; weights, KL and likelihood stay float32",
    )
    ema_decay: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = Field(
        default=None,
        description="decay of a moving average of the weights (EMA), such as 0.999; the average is evaluated",
    )
    early_stopping: PositiveInt | None = Field(
        default=None, description="validations without improvement before training stops"
    )
    min_improvement: NonNegativeFloat = Field(
        default=0.0, description="smallest fall of the validation loss that counts as an improvement, in nats"
    )
    validate_every: PositiveInt = Field(default=1, description="epochs between validations")
    sample_every: NonNegativeInt = Field(default=10, description="epochs between sample grids; 0 draws the last only")
    log_every_steps: PositiveInt | None = Field(
        default=None, description="steps between losses in TensorBoard, beside those of each epoch"
    )
    tensorboard: Boolean = Field(default=True, description="write TensorBoard files into the run directory")
    checkpoint_seconds: NonNegativeFloat = Field(
        default=60.0, description="seconds between checkpoints; 0 writes one at every step"
    )
    checkpoint_every: PositiveInt | None = Field(default=None, description="epochs between additional checkpoints")
    keep_checkpoints: PositiveInt = Field(default=2, description="number of latest checkpoints kept, beside the best")
    finite_check_steps: PositiveInt | None = Field(
        default=None, description="steps between checks for a non-finite loss; if unset 1 on the CPU, 50 elsewhere"
    )
    progress: Literal["auto", "bar", "lines", "none"] = Field(
        default="auto", description="kind of progress display; auto is a bar on a terminal, else lines"
    )
    threads: Annotated[Workers, Field(ge=1)] | None = Field(
        default=None, description="number of torch's CPU threads; torch's own choice if unset"
    )
    device: str = Field(default="auto", description="device: cpu, cuda, cuda:1, ...; auto takes a GPU if there is one")
    seed: Seed = Field(
        default=0, description="seed of initial weights, order of examples and noise; not of the data split"
    )


# Of what came, as much as tells it apart: it may fill a screen, or be nested too deeply to be shown.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


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
