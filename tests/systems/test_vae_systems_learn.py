"""The conditional VAE and the deep latent Gaussian model, trained for seconds."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.metrics import generative_classification, importance_weighted_log_likelihood
from deepgen_fast.models import conditional_vae, deep_latent_gaussian
from deepgen_fast.objectives import HierarchicalELBO
from deepgen_fast.training import VAETrainer


@pytest.fixture
def bars() -> tuple[torch.Tensor, torch.Tensor]:
    """Horizontal and vertical bars of 4 x 4, at random places, and which they are; none is plain."""
    generator = torch.Generator().manual_seed(5)
    pattern = torch.tensor([[1, 0, 0, 1], [0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]).float()
    rows = pattern[torch.randint(6, (80,), generator=generator)].view(80, 1, 4, 1).expand(80, 1, 4, 4)
    labels = torch.arange(80) % 2
    return torch.where(labels.bool().view(80, 1, 1, 1), rows, rows.transpose(2, 3)).contiguous(), labels


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_conditional_vae_generates_and_classifies(bars, quiet, precision):
    images, labels = bars
    torch.manual_seed(0)
    model = conditional_vae((1, 4, 4), num_classes=2, hidden_dim=24, latent_dim=3)
    trainer = VAETrainer(model, **quiet, epochs=200, learning_rate=1e-2, precision=precision)
    result = trainer.fit(images, images, labels=labels, validation_labels=labels)
    # Six patterns of each class: with the class known, log 6 = 1.8 nats are the least.
    assert result.history[0]["validation_loss"] > 9 and result.history[-1]["validation_loss"] < 4.5
    assert generative_classification(model, images, num_samples=20).accuracy(labels) > 0.97
    made = model.sample(100, torch.Generator().manual_seed(0))[:, 0]
    along = [made[k::2].std(dim).mean().item() for k, dim in ((0, 1), (0, 2), (1, 1), (1, 2))]
    # Of class 0 columns are of one color, of class 1 rows.
    assert along[0] < 0.5 * along[1] and along[3] < 0.5 * along[2]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("covariance", ["diagonal", "rank_one"])
def test_a_deep_latent_gaussian_model_learns(bars, quiet, covariance, precision):
    images, _ = bars
    torch.manual_seed(0)
    model = deep_latent_gaussian((1, 4, 4), hidden_dim=24, latent_dims=(3, 2), covariance=covariance)
    trainer = VAETrainer(model, HierarchicalELBO(), **quiet, epochs=200, learning_rate=1e-2, precision=precision)
    result = trainer.fit(images, images)
    assert result.history[0]["validation_loss"] > 9 and result.history[-1]["validation_loss"] < 5
    log_p = importance_weighted_log_likelihood(model, images, 200).mean().item()
    assert -result.history[-1]["validation_loss"] < log_p + 0.1 and log_p > -4.5


def test_a_resumed_run_is_the_run(bars, quiet, same_run, tmp_path):
    def run(name, **options):
        torch.manual_seed(0)
        model = deep_latent_gaussian((1, 4, 4), hidden_dim=12, latent_dims=(2, 2), covariance="rank_one")
        settings = {**quiet, "ema_decay": 0.9, "checkpoint_seconds": 0, "binarize": "stochastic"} | options
        return VAETrainer(model, HierarchicalELBO(warmup_steps=9), **settings, run_directory=tmp_path / name)

    images, _ = bars
    whole = run("whole", epochs=4)
    whole.fit(images, images)
    run("parts", epochs=2).fit(images, images)
    rest = run("parts", epochs=4)
    rest.fit(images, images, resume_from="last")
    assert same_run(whole, rest, ("latest", "best")) == [1, 2, 3, 4]
