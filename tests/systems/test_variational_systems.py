"""A new variational system is a model, an objective and one line: with labels beside the pixels, or without pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from typer.testing import CliRunner

import deepgen_fast as dgf
from deepgen_fast import runs
from deepgen_fast.cli.app import app
from deepgen_fast.data import DataError
from deepgen_fast.models import VAE, BernoulliLikelihood, GenerativeModel, Posterior, VAEOutput
from deepgen_fast.objectives import ELBO, ImportanceWeightedBound, Loss
from deepgen_fast.runs import resume, train
from deepgen_fast.systems import RunConfig, variational_system
from deepgen_fast.training import VAETrainer


class TwoHeads(nn.Module):
    def __init__(self, width: int, latent_dim: int) -> None:
        super().__init__()
        self.mean, self.scale = nn.Linear(width, latent_dim), nn.Linear(width, latent_dim)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(h), self.scale(h)


class LabelBesideZ(VAE):
    """p(x|z, y): called with a pair; the encoder does without the label."""

    def forward(self, x, num_samples=None, generator=None, noise=None):
        x, labels = x
        posterior = self.encode(x.flatten(1))
        draw = {"num_samples": num_samples, "generator": generator, "noise": noise}
        z, kl = dgf.reparameterize_kl(posterior.mean, **posterior.kwargs(), **draw)
        y = F.one_hot(labels, 2).to(z.dtype).expand(*z.shape[:-1], 2)
        return VAEOutput(z, kl, self.decoder(torch.cat([z, y], -1)), posterior)

    def encode(self, x):
        return Posterior(*self.encoder(x), self.scale)

    def sample(self, n, generator=None):
        z = torch.randn(n, self.latent_dim, generator=generator)
        y = F.one_hot(torch.arange(n) % 2, 2).to(z.dtype)
        return self.likelihood.mean(self.decoder(torch.cat([z, y], -1)))

    def reconstruct(self, x):
        x, labels = x
        mean = self.encode(x.flatten(1)).mean
        return self.likelihood.mean(self.decoder(torch.cat([mean, F.one_hot(labels, 2).to(mean.dtype)], -1)))


def labeled_vae(event_shape: Sequence[int] = (1, 4, 4), latent_dim: int = 2, likelihood: str = "bernoulli") -> VAE:
    """A conditional VAE in small.

    Args:
        event_shape: of an example.
        latent_dim: size of z.
        likelihood: a Bernoulli.
    """
    size = math.prod(event_shape)
    decoder = nn.Sequential(nn.Linear(latent_dim + 2, size), nn.Unflatten(-1, tuple(event_shape)))
    return LabelBesideZ(
        TwoHeads(size, latent_dim), decoder, event_shape=event_shape, latent_dim=latent_dim,
        likelihood=BernoulliLikelihood(),
    )  # fmt: skip


class TokenVAE(GenerativeModel):
    """Sequences of tokens from z, each token by itself; it is no ``VAE``."""

    def __init__(self, length: int, tokens: int, latent_dim: int) -> None:
        super().__init__()
        self.event_shape, self.tokens, self.latent_dim = (length,), tokens, latent_dim
        self.embedding = nn.Embedding(tokens, 8)
        self.posterior = TwoHeads(8 * length, latent_dim)
        self.logits = nn.Linear(latent_dim, length * tokens)

    def forward(self, x, generator=None):
        assert x.dtype == torch.int64
        mean, logvar = self.posterior(self.embedding(x).flatten(1))
        z, kl = dgf.reparameterize_kl(mean, logvar, generator=generator)
        return self.logits(z).unflatten(1, (-1, self.tokens)), kl

    @property
    def keep_in_fp32_modules(self):
        return ()

    def check_data(self, examples, name):
        if examples.is_floating_point() or examples.min() < 0 or examples.max() >= self.tokens:
            raise DataError(f"{name}: expected tokens from 0 to {self.tokens - 1}")

    def previews(self, generator, examples=None):
        shown = {"samples": "one\ntwo"}
        return shown if examples is None else {**shown, "reconstructions": str(examples.tolist())}


class TokenObjective:
    def beta_at(self, step):
        return 0.25

    def for_validation(self):
        return self

    def __call__(self, model, x, step=None, generator=None):
        logits, kl = model(x, generator=generator)
        log_likelihood = -F.cross_entropy(logits.flatten(0, 1).float(), x.flatten(), reduction="none")
        log_likelihood = log_likelihood.view(len(x), -1).sum(1)
        return Loss((kl - log_likelihood).mean(), log_likelihood.detach(), kl.detach())


@pytest.fixture
def registered(registry) -> None:
    variational_system("labeled", "toy conditional VAE", labeled=True)(labeled_vae)


@pytest.fixture
def data(tmp_path) -> str:
    """Bright left halves and bright upper halves of 4 x 4 pixels, gray, labeled."""
    labels = np.arange(80) % 2
    images = np.full((80, 4, 4), 0.05, dtype=np.float32)
    images[labels == 0, :, :2] = 0.95
    images[labels == 1, :2] = 0.95
    np.savez(tmp_path / "halves.npz", images=images, labels=labels)
    return str(tmp_path / "halves.npz")


def config(data: str, **overrides) -> RunConfig:
    settings = {"data.name": data, "trainer.progress": "none", "trainer.tensorboard": False, "trainer.device": "cpu"}
    settings |= {"trainer.epochs": 3, "trainer.batch_size": 16, "trainer.ema_decay": 0.9}
    return RunConfig.for_system("labeled")().with_overrides(settings | overrides)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_labeled_system_trains_resumes_and_loads(registered, data, tmp_path, precision):
    chosen = config(data, **{"trainer.precision": precision, "objective.beta": 0.5, "data.binarize": "stochastic"})
    train(chosen.with_overrides({"trainer.epochs": 5}), tmp_path / "whole")
    result = train(chosen, tmp_path / "parts")
    assert result.history[-1]["beta"] == 0.5
    resume(tmp_path / "parts", epochs=5)
    first, second = (runs.open(tmp_path / name) for name in ("whole", "parts"))
    assert first.kind == "vae" and first.config.objective.beta == 0.5
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    names = sorted(path.name for path in (tmp_path / "whole" / "samples").iterdir())
    assert names == ["reconstructions-00005.png", "samples-00005.png"]


def test_labels_reach_the_model(registered, data, tmp_path):
    result = train(config(data, **{"trainer.epochs": 80, "trainer.learning_rate": 2e-2}), tmp_path / "run")
    assert result.history[-1]["validation_kl"] < 0.1  # the label says it all
    left, upper = (
        runs.open(tmp_path / "run").model.sample(20, torch.Generator().manual_seed(0))[i::2, 0] for i in (0, 1)
    )
    assert left[:, :, :2].mean() - left[:, :, 2:].mean() > 0.6
    assert upper[:, :2].mean() - upper[:, 2:].mean() > 0.6


def test_pixels_are_made_binary_and_labels_stay(images, quiet):
    seen = []

    class Watching(ELBO):
        def __call__(self, model, x, step=None, generator=None):
            seen.append(x)
            return super().__call__(model, x, step=step, generator=generator)

    labels = torch.arange(70) % 2
    VAETrainer(labeled_vae(), Watching(), **quiet, epochs=1, binarize="stochastic").fit(0.5 * images, labels=labels)
    assert all(set(x.unique().tolist()) == {0.0, 1.0} for x, _ in seen)
    assert torch.equal(torch.cat([y for _, y in seen]).sort().values, labels.sort().values)


def test_the_importance_weighted_bound_takes_labels_too(images):
    torch.manual_seed(0)
    model = labeled_vae()
    pair = (images.repeat(20, 1, 1, 1), torch.arange(1400) % 2)
    generator = torch.Generator().manual_seed(0)
    one, many = (ImportanceWeightedBound(m)(model, pair, generator=generator).value.item() for m in (1, 200))
    elbo = ELBO(num_samples=200)(model, pair, generator=generator).value.item()
    assert one == pytest.approx(elbo, rel=0.01)
    assert many < elbo - 0.01


def test_the_command_says_what_a_variational_system_is(registered, data, tmp_path):
    text = CliRunner().invoke(app, ["train", "labeled", "--help"]).stdout
    text = " ".join(text.replace("│", " ").split())
    assert "Train a toy conditional VAE" in text and "nats per example" in text and "players" not in text
    assert "--binarize" in text and "--beta" in text and "--early-stopping" in text
    flags = ["--data", data, "--beta", "0.3", "--binarize", "threshold", "--epochs", "1", "--device", "cpu"]
    result = CliRunner().invoke(app, ["train", "labeled", *flags, "--progress", "none", "-o", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    stored = RunConfig.from_toml(tmp_path / "run" / "config.toml")
    assert (stored.objective.beta, stored.data.binarize) == (0.3, "threshold")


def test_what_a_bernoulli_cannot_take_is_refused(registered, tmp_path):
    np.savez(tmp_path / "wide.npz", images=np.full((80, 4, 4), 3.0, dtype=np.float32), labels=np.arange(80) % 2)
    with pytest.raises(DataError, match="pixels out of range"):
        train(config(str(tmp_path / "wide.npz")))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("kind", ["tensor", "dataset"])
def test_sequences_of_tokens_train(quiet, tmp_path, precision, kind):
    tokens = (torch.arange(40).unsqueeze(1) + torch.arange(6)) % 5
    data = tokens if kind == "tensor" else TensorDataset(tokens)
    torch.manual_seed(0)
    model = TokenVAE(6, 5, 4)
    settings = {**quiet, "tensorboard": True, "epochs": 60, "learning_rate": 2e-2, "precision": precision}
    trainer = VAETrainer(model, TokenObjective(), **settings, run_directory=tmp_path / "run")
    result = trainer.fit(data, data)
    assert result.history[0]["train_loss"] > 6 * math.log(5) - 2
    assert result.history[-1]["validation_loss"] < 4 and result.history[-1]["beta"] == 0.25
    samples = tmp_path / "run" / "samples"
    assert (samples / "samples-00060.txt").read_text() == "one\ntwo"
    assert (samples / "reconstructions-00060.txt").read_text() == str(tokens[:8].tolist())


def test_the_model_says_which_tokens_it_takes(quiet):
    trainer = VAETrainer(TokenVAE(6, 5, 4), TokenObjective(), **quiet)
    for data in (torch.full((3, 6), 5), torch.zeros(3, 6)):
        with pytest.raises(DataError, match="train: expected tokens from 0 to 4"):
            trainer.fit(data)
    with pytest.raises(DataError, match=r"train: expected examples of shape \[6\].*got \[7\]"):
        trainer.fit(torch.zeros(3, 7, dtype=torch.int64))
