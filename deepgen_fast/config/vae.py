"""Sections of a VAE's config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from deepgen_fast.config.sections import NonNegativeFloat, NonNegativeInt, PositiveInt, Section


class ModelConfig(Section):
    """Which VAE; see ``deepgen_fast.models``."""

    architecture: Literal["two_layer", "convolutional"] = Field(default="two_layer", description="kind of network")
    event_shape: tuple[PositiveInt, ...] | None = Field(
        default=None, description="shape of one example; the data's if unset"
    )
    hidden_dim: PositiveInt = Field(default=512, description="hidden units of a two_layer model")
    channels: tuple[PositiveInt, ...] = Field(
        default=(32, 64), description="channels of a convolutional model's layers"
    )
    latent_dim: PositiveInt = Field(default=16, description="dimension of the latent z")
    likelihood: Literal["bernoulli", "gaussian"] = Field(default="bernoulli", description="likelihood p(x|z)")
    variance: Literal["unit", "shared", "per_pixel"] = Field(
        default="unit", description="variance of the Gaussian p(x|z)"
    )
    scale: Literal["logvar", "std", "pre_softplus", "softplus_sigmoid"] = Field(
        default="logvar", description="parametrization of sigma in the encoder's output"
    )
    activation: Literal["relu", "sigmoid", "tanh", "silu", "leaky_relu"] = Field(
        default="relu", description="activation function"
    )

    @model_validator(mode="after")
    def _variance_is_gaussian(self) -> ModelConfig:
        if self.variance != "unit" and self.likelihood != "gaussian":
            raise ValueError(f"variance={self.variance!r} needs likelihood='gaussian', got {self.likelihood!r}")
        return self


class ObjectiveConfig(Section):
    """What to minimise; see ``deepgen_fast.objectives``."""

    kind: Literal["elbo", "importance_weighted"] = Field(default="elbo", description="bound that is maximized")
    beta: NonNegativeFloat = Field(default=1.0, description="weight of the KL")
    warmup_steps: NonNegativeInt = Field(default=0, description="steps over which beta rises linearly from 0")
    free_bits: NonNegativeFloat = Field(
        default=0.0, description="free bits: KL per latent dimension that is not penalized, in nats"
    )
    num_samples: PositiveInt | None = Field(default=None, description="samples of z per example; 1 if unset")

    @model_validator(mode="after")
    def _fields_of_kind(self) -> ObjectiveConfig:
        if self.kind == "importance_weighted":
            if self.num_samples is None:
                raise ValueError("num_samples: the importance-weighted bound needs it, such as 50")
            if self.beta != 1.0 or self.warmup_steps or self.free_bits:
                raise ValueError("beta, warmup_steps and free_bits belong to kind='elbo'")
        return self
