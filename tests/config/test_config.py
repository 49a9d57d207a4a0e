from __future__ import annotations

import typing

import numpy as np
import pytest

from deepgen_fast.config import ConfigError, TrainerConfig
from deepgen_fast.systems import RunConfig, systems


def test_defaults_survive_toml(tmp_path):
    config = RunConfig.for_system("vae")()
    config.write_toml(tmp_path / "config.toml")
    assert RunConfig.from_toml(tmp_path / "config.toml") == config


def test_every_field_survives_toml(tmp_path):
    config = RunConfig.from_mapping(
        {
            "data": {"name": 'a "quoted" folder', "image_size": [8, 9], "values": "any", "root": "C:\\data"},
            "model": {
                "likelihood": "gaussian",
                "variance": "per_pixel",
                "channels": [4, 5, 6],
                "event_shape": [1, 8, 9],
            },
            "objective": {"kind": "importance_weighted", "num_samples": 5},
            "trainer": {"learning_rate": 3e-4, "gradient_clip": 1, "ema_decay": 0.99, "early_stopping": 3, "seed": 7},
        }
    )
    config.write_toml(tmp_path / "config.toml")
    assert RunConfig.from_toml(tmp_path / "config.toml") == config


def test_overrides_are_validated():
    config = RunConfig.for_system("vae")().with_overrides({"trainer.epochs": 3, "model.latent_dim": 2})
    assert (config.trainer.epochs, config.model.latent_dim) == (3, 2)
    assert config.trainer.batch_size == TrainerConfig().batch_size
    for key, value, message in (
        ("trainer.epochs", 0, "trainer.epochs: input should be greater than or equal to 1, got 0"),
        ("trainer.epoch", 3, "trainer.epoch: no such field"),
        ("training.epochs", 3, "expected section.field with a section of data, model, objective, trainer"),
        ("trainer", 3, "expected section.field"),
    ):
        with pytest.raises(ConfigError, match=message):
            RunConfig.for_system("vae")().with_overrides({key: value})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainer": {"learning_rate": -1}}, "trainer.learning_rate: input should be greater than 0, got -1"),
        ({"trainer": {"schedule": "linear"}}, "trainer.schedule: input should be 'none', 'cosine' or 'step'"),
        ({"trainer": {"learning_rate": float("nan")}}, "trainer.learning_rate"),
        ({"model": {"layers": 3}}, "model.layers: no such field"),
        ({"model": {"variance": "shared"}}, "variance='shared' needs likelihood='gaussian'"),
        ({"objective": {"kind": "importance_weighted"}}, "num_samples: the importance-weighted bound needs it"),
        (
            {"objective": {"kind": "importance_weighted", "num_samples": 2, "beta": 2.0}},
            "beta, warmup_steps and free_bits belong to kind='elbo'",
        ),
        ({"data": {"values": "any"}}, "data.values='any' needs model.likelihood='gaussian'"),
        ({"trainer": {"epochs": 0, "seed": -1}}, "trainer.epochs: .*; trainer.seed: "),
    ],
)
def test_wrong_fields_are_named(values, message):
    with pytest.raises(ConfigError, match=f"mine: .*{message}"):
        RunConfig.from_mapping(values, source="mine")


def fields():
    """(system, section.field, annotation) of every system's config."""
    for system in systems():
        config = RunConfig.for_system(system)()
        for section in type(config).model_fields:
            for name, field in type(getattr(config, section)).model_fields.items():
                yield system, f"{section}.{name}", typing.get_type_hints(type(getattr(config, section)))[name], field


def kinds(annotation) -> set[type]:
    """The plain types in an annotation."""
    origin = typing.get_origin(annotation)
    found = {kind for kind in (origin, annotation) if isinstance(kind, type) and typing.get_origin(kind) is None}
    return found.union(*(kinds(argument) for argument in typing.get_args(annotation)))


@pytest.mark.parametrize("value", [True, 10**30, 10**400, 2**63, 1.0, "1"], ids=lambda value: str(value)[:6])
def test_integers_are_integers_and_have_bounds(value):
    """A boolean is 1 to Python, and sizes past 64 bits are refused by torch with the frames of its C++."""
    seen = 0
    for system, key, annotation, _ in fields():
        found = kinds(annotation)
        if int not in found or not found.isdisjoint({float, str}):
            continue
        seen += 1
        with pytest.raises(ConfigError, match=key):
            RunConfig.for_system(system)().with_overrides({key: value})
        if tuple in found:
            with pytest.raises(ConfigError, match=key):
                RunConfig.for_system(system)().with_overrides({key: [value]})
    assert seen > 100


@pytest.mark.parametrize("value", [True, "0.5"])
def test_numbers_are_numbers(value):
    for system, key, annotation, _ in fields():
        if float in kinds(annotation) and str not in kinds(annotation):
            given = [value, value] if tuple in kinds(annotation) else value
            with pytest.raises(ConfigError, match=f"{key}.*: input should be a valid number"):
                RunConfig.for_system(system)().with_overrides({key: given})


@pytest.mark.parametrize("value", [1, 0, "yes", 1.0])
def test_booleans_are_booleans(value):
    for system, key, annotation, _ in fields():
        if kinds(annotation) == {bool}:
            with pytest.raises(ConfigError, match=f"{key}: input should be a valid boolean"):
                RunConfig.for_system(system)().with_overrides({key: value})


def test_bounds_are_told():
    with pytest.raises(
        ConfigError, match=r"model\.latent_dim: input should be less than or equal to 2147483647, got 1000"
    ):
        RunConfig.for_system("vae")().with_overrides({"model.latent_dim": 10**30})
    with pytest.raises(
        ConfigError, match=r"^overrides: data\.image_size: .*; data\.image_size: input should be a valid"
    ):
        RunConfig.for_system("vae")().with_overrides({"data.image_size": True})
    assert RunConfig.for_system("vae")().with_overrides({"trainer.epochs": np.int64(3)}).trainer.epochs == 3


def test_a_long_value_is_not_told_in_full():
    with pytest.raises(ConfigError) as caught:
        RunConfig.for_system("vae")().with_overrides({"trainer.epochs": "x" * 10_000})
    assert len(str(caught.value)) < 300


def test_wrong_files_are_named(tmp_path):
    for content in ("a = " + "[" * 100_000, "a = " + "9" * 5000, "a = {b = " * 5000, "\0"):
        (tmp_path / "odd.toml").write_text(content)
        with pytest.raises(ConfigError, match=r"odd\.toml: not valid TOML"):
            RunConfig.from_toml(tmp_path / "odd.toml")
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read"):
        RunConfig.from_toml(tmp_path / "missing.toml")
    (tmp_path / "broken.toml").write_text("[trainer\nepochs = 3")
    with pytest.raises(ConfigError, match=r"broken\.toml: not valid TOML"):
        RunConfig.from_toml(tmp_path / "broken.toml")


def test_every_field_has_a_description():
    config = RunConfig.for_system("vae")()
    for section in (config.data, config.model, config.objective, config.trainer):
        for name, field in type(section).model_fields.items():
            assert field.description, name
