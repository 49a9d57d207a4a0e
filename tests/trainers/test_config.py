from __future__ import annotations

import pytest

from deepgen_fast.trainers import ConfigError, RunConfig, TrainerConfig


def test_defaults_survive_toml(tmp_path):
    config = RunConfig()
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
    config = RunConfig().with_overrides({"trainer.epochs": 3, "model.latent_dim": 2})
    assert (config.trainer.epochs, config.model.latent_dim) == (3, 2)
    assert config.trainer.batch_size == TrainerConfig().batch_size
    for key, value, message in (
        ("trainer.epochs", 0, "trainer.epochs: input should be greater than or equal to 1, got 0"),
        ("trainer.epoch", 3, "trainer.epoch: no such field"),
        ("training.epochs", 3, "expected section.field with a section of data, model, objective, trainer"),
        ("trainer", 3, "expected section.field"),
    ):
        with pytest.raises(ConfigError, match=message):
            RunConfig().with_overrides({key: value})


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


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read"):
        RunConfig.from_toml(tmp_path / "missing.toml")
    (tmp_path / "broken.toml").write_text("[trainer\nepochs = 3")
    with pytest.raises(ConfigError, match=r"broken\.toml: not valid TOML"):
        RunConfig.from_toml(tmp_path / "broken.toml")


def test_every_field_has_a_description():
    for section in (RunConfig().data, RunConfig().model, RunConfig().objective, RunConfig().trainer):
        for name, field in type(section).model_fields.items():
            assert field.description, name
