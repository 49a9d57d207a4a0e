"""The VAE as a careful PyTorch user writes it: in-memory batches, logits, no needless synchronization."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepgen_fast.objectives import Loss


def reparameterize(mean: Tensor, logvar: Tensor, generator: torch.Generator | None = None) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
    return mean + noise * torch.exp(0.5 * logvar)


def loss_parts(logits: Tensor, x: Tensor, mean: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the batch of the reconstruction loss and of the KL."""
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    return reconstruction, -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum()


class EagerVAE(nn.Module):
    """One head for mean and log-variance: a product less."""

    def __init__(self, pixels: int, hidden_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 2 * latent_dim))
        self.decoder = nn.Sequential(nn.Linear(latent_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, pixels))

    def forward(self, x: Tensor) -> Tensor:
        """Mean over the batch of the negative ELBO."""
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        reconstruction, kl = loss_parts(self.decoder(reparameterize(mean, logvar)), x, mean, logvar)
        return (reconstruction + kl) / len(x)

    def weights(self) -> dict[str, Tensor]:
        """Under the names of our two-layer VAE."""
        state, named = self.state_dict(), {}
        for kind in ("weight", "bias"):
            named[f"encoder.hidden.{kind}"] = state[f"encoder.0.{kind}"]
            named[f"encoder.mean.{kind}"], named[f"encoder.scale.{kind}"] = state[f"encoder.2.{kind}"].chunk(2)
            named[f"decoder.hidden.{kind}"] = state[f"decoder.0.{kind}"]
            named[f"decoder.output.{kind}"] = state[f"decoder.2.{kind}"]
        return named


def train_eager_loop(
    train: Tensor,
    validation: Tensor | None,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    hidden_dim: int,
    latent_dim: int,
    fused_adam: bool,
    bf16: bool,
    on_epoch: Callable[[], None],
) -> dict[str, Tensor]:
    """Train on ``train [N, pixels]``; validation, where given, once an epoch. Returns the weights."""
    model = EagerVAE(train.shape[1], hidden_dim, latent_dim)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=fused_adam or None)
    for _ in range(epochs):
        on_epoch()
        total = torch.zeros(())
        for rows in torch.randperm(len(train)).split(batch_size):
            x = torch.index_select(train, 0, rows)
            with _precision(bf16):
                loss = model(x)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(x)
        if not torch.isfinite(total):
            raise ArithmeticError("the loss is not finite")
        if validation is not None:
            with torch.no_grad(), _precision(bf16):
                sum(float(model(x)) * len(x) for x in validation.split(512))
    return model.weights()


def _precision(bf16: bool) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16, enabled=bf16)


class EagerELBO:
    """The objective ELBO() from eager operators alone, to train in VAETrainer for comparison."""

    def beta_at(self, step: int | None) -> float:
        return 1.0

    def for_validation(self) -> EagerELBO:
        return self

    def __call__(
        self, model: Any, x: Tensor, step: int | None = None, generator: torch.Generator | None = None
    ) -> Loss:
        mean, logvar = model.encode(x)[:2]
        logits = model.decode(reparameterize(mean, logvar, generator))
        log_likelihood = -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
        kl = -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum(1)
        return Loss((kl - log_likelihood).mean(), log_likelihood.detach(), kl.detach())
