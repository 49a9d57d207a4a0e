"""A new system is a model, an objective and one line of the registry: it trains, resumes, samples and has a command."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from deepgen_fast import runs
from deepgen_fast.cli.app import app
from deepgen_fast.config import ConfigError
from deepgen_fast.data import DataError, InMemoryBatches, LoaderBatches
from deepgen_fast.models import GAN, fully_connected_gan
from deepgen_fast.objectives import AdversarialObjective
from deepgen_fast.runs import load_run_data, resume, train
from deepgen_fast.systems import RunConfig, adversarial_system
from deepgen_fast.training import GANTrainer


class LabeledGAN(GAN):
    """G(z, y) against D(x, y): the label goes beside z, and beside x."""

    num_classes = 2

    def draw_latent(self, count, noise=None, real=None):
        z = super().draw_latent(count, noise)
        return z, torch.arange(count) % self.num_classes if real is None else real[1]

    def _beside(self, x, labels):
        return torch.cat([x.flatten(1), nn.functional.one_hot(labels, self.num_classes).to(x.dtype)], 1)

    def generate(self, latent):
        z, labels = latent
        return super().generate(self._beside(z, labels)), labels

    def discriminate(self, example):
        return super().discriminate(self._beside(*example))


def labeled_gan(event_shape: Sequence[int], hidden_dim: int = 16, latent_dim: int = 3) -> GAN:
    """A conditional GAN in small.

    Args:
        event_shape: of an example.
        hidden_dim: units of each network.
        latent_dim: size of z.
    """
    size = int(np.prod(event_shape))
    classes = LabeledGAN.num_classes
    generator = nn.Sequential(
        nn.Linear(latent_dim + classes, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, size), nn.Tanh(),
        nn.Unflatten(1, tuple(event_shape)),
    )  # fmt: skip
    discriminator = nn.Sequential(nn.Linear(size + classes, hidden_dim), nn.LeakyReLU(0.2), nn.Linear(hidden_dim, 1))
    return LabeledGAN(generator, discriminator, event_shape=event_shape, latent_dim=latent_dim)


class Centered(AdversarialObjective):
    """Draws the generator's logits to 0 as well.

    Args:
        weight: of their squares.
    """

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight
        self.part_names = {"generator": ("squares",)}

    def generator_loss(self, model, fake, **options):
        loss = super().generator_loss(model, fake, **options)
        squares = model.discriminate(fake).square().mean()
        return loss._replace(value=loss.value + self.weight * squares, parts={"squares": squares.detach()})


class FewLabels(AdversarialObjective):
    """Learns nothing from labels, but notes what comes."""

    semi_supervised = True
    seen: list = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()

    def discriminator_loss(self, model, real, fake, *, labeled=None, **options):
        self.seen.append((real, labeled))
        return super().discriminator_loss(model, real, fake, **options)

    def for_validation(self):
        return self


@pytest.fixture
def toy(registry, monkeypatch) -> None:
    adversarial_system("toy", "toy GAN", Centered, labeled=True)(labeled_gan)
    adversarial_system("few", "GAN of few labels", FewLabels)(fully_connected_gan)
    monkeypatch.setattr(FewLabels, "seen", [])


@pytest.fixture
def data(tmp_path) -> str:
    """Bright left halves and bright upper halves of 4 x 4 pixels, labeled."""
    labels = np.arange(80) % 2
    images = np.zeros((80, 4, 4), dtype=np.float32)
    images[labels == 0, :, :2] = 1
    images[labels == 1, :2] = 1
    np.savez(tmp_path / "halves.npz", images=images, labels=labels)
    return str(tmp_path / "halves.npz")


def config(data: str, system: str = "toy", **overrides) -> RunConfig:
    settings = {"data.name": data, "trainer.progress": "none", "trainer.tensorboard": False, "trainer.device": "cpu"}
    settings |= {"trainer.epochs": 3, "trainer.batch_size": 16, "trainer.ema_decay": 0.9}
    return RunConfig.for_system(system)().with_overrides(settings | overrides)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_it_trains_resumes_and_loads(toy, data, tmp_path, precision):
    chosen = config(data, **{"trainer.precision": precision, "objective.weight": 0.5})
    result = train(chosen.with_overrides({"trainer.epochs": 5}), tmp_path / "whole")
    assert result.history[-1]["generator_squares"] > 0
    train(chosen, tmp_path / "parts")
    resume(tmp_path / "parts", epochs=5)
    first, second = (runs.open(tmp_path / name) for name in ("whole", "parts"))
    assert first.config.objective.weight == 0.5 and first.kind == "gan"
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_labels_reach_both_networks(toy, data, tmp_path):
    chosen = config(data, **{"trainer.epochs": 150, "trainer.learning_rate": 2e-3, "trainer.validate_every": 150})
    train(chosen, tmp_path / "run")
    made = runs.open(tmp_path / "run").model.sample(20, torch.Generator().manual_seed(0))[:, 0]
    # Drawn without real examples beside them, labels alternate.
    left, upper = made[0::2], made[1::2]
    assert left[:, :, :2].mean() - left[:, :, 2:].mean() > 0.5
    assert upper[:, :2].mean() - upper[:, 2:].mean() > 0.5


def test_the_command_line_knows_it(toy, data, tmp_path):
    def command(*args: object):
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        assert result.exit_code == 0, result.output
        return result.stdout

    text = " ".join(command("train", "toy", "--help").replace("│", " ").split())
    assert "Train a toy GAN" in text and "Of their squares" in text and "Units of each network" in text
    flags = ("--weight", 0.3, "--hidden-dim", 5, "--epochs", 1, "--device", "cpu", "--progress", "none")
    command("train", "toy", "--data", data, *flags, "--batch-size", 8, "--out", tmp_path / "run")
    stored = RunConfig.from_toml(tmp_path / "run" / "config.toml")
    assert (stored.system, stored.objective.weight, stored.model.hidden_dim) == ("toy", 0.3, 5)
    command("sample", tmp_path / "run", "-n", 9, "-o", tmp_path / "made.npy")
    assert np.load(tmp_path / "made.npy").shape == (9, 1, 4, 4)
    assert 0 <= json.loads(command("evaluate", tmp_path / "run", "--json"))["discriminator_real"] <= 1


def test_data_without_labels_is_refused(toy, tmp_path):
    np.save(tmp_path / "plain.npy", np.zeros((80, 4, 4), dtype=np.float32))
    with pytest.raises(DataError, match="has no labels, which this system is trained with"):
        train(config(str(tmp_path / "plain.npy")))


def test_an_objective_of_few_labels_gets_them_at_every_step(toy, data):
    chosen = config(data, "few", **{"data.labels_per_class": 3, "trainer.epochs": 1, "data.split_seed": 1})
    splits = load_run_data(chosen)
    kept = splits.train.labels >= 0
    assert splits.train.labels[kept].bincount().tolist() == [3, 3]
    assert (splits.validation.labels >= 0).all() and (splits.test.labels >= 0).all()
    train(chosen, splits=splits)
    trained = [(real, labeled) for real, labeled in FewLabels.seen if labeled is not None]
    assert len(trained) == len(splits.train) // 16
    allowed = splits.train.images[kept]
    for (x, y), (few, labels) in trained:
        assert len(x) == len(y) == len(few) == len(labels) == 16 and ((y < 0) | (y < 2)).all()
        distances = torch.cdist(few.flatten(1), allowed.flatten(1))
        assert torch.equal(splits.train.labels[kept][distances.argmin(1)], labels) and (distances.amin(1) == 0).all()
    # Held-out examples come in any order, with their labels, and with no others beside them.
    x, y = (torch.cat(part) for part in zip(*(real for real, few in FewLabels.seen if few is None), strict=True))
    assert len(y) == len(splits.validation.labels)
    distances = torch.cdist(x.flatten(1), splits.validation.images.flatten(1))
    assert torch.equal(splits.validation.labels[distances.argmin(1)], y) and (distances.amin(1) == 0).all()


def test_labels_that_nobody_asked_for_are_not_used(toy, data, tmp_path):
    np.save(tmp_path / "plain.npy", np.zeros((80, 4, 4), dtype=np.float32))
    for name in (data, str(tmp_path / "plain.npy")):
        FewLabels.seen.clear()
        assert (load_run_data(config(name, "few")).train.labels == -1).all()
        train(config(name, "few", **{"trainer.epochs": 1, "data.validation_fraction": 0}))
        assert FewLabels.seen and all(labeled is None and (y == -1).all() for (_, y), labeled in FewLabels.seen)


def test_missing_and_unknown_labels_are_refused(toy, data):
    for system, labels, message in (("toy", 3, "a toy GAN takes all labels"), ("gan", 0, "takes no labels")):
        with pytest.raises(ConfigError, match=f"data.labels_per_class={labels}: .*{message}"):
            config(data, system, **{"data.labels_per_class": labels})
    splits = load_run_data(config(data))
    trainer = GANTrainer(labeled_gan((1, 4, 4)), device="cpu", progress="none", batch_size=16)
    for labels, message in ((splits.train.labels - 1, "32 of 64 examples are unlabeled"), (2, "labels from 0 to 1")):
        with pytest.raises(DataError, match=message):
            trainer.fit(splits.train.images, labels=torch.as_tensor(labels).expand(64))


@pytest.mark.parametrize("kind", [InMemoryBatches, LoaderBatches])
def test_batches_are_pairs_where_there_are_labels(kind):
    data, labels = torch.arange(11.0).unsqueeze(1), torch.arange(11)
    batches = kind(data, 4, generator=torch.Generator().manual_seed(0), labels=labels)
    pairs = list(batches)
    assert all(torch.equal(x[:, 0].long(), y) for x, y in pairs)
    assert torch.cat([y for _, y in pairs]).sort().values.tolist() == list(range(11))
    assert [len(y) for _, y in pairs] == [4, 4, 3]
    with pytest.raises(DataError, match=r"labels: expected one an example, \[11\], got \[3\]"):
        kind(data, 4, labels=labels[:3])
