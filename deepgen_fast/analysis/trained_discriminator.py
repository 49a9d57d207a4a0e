"""The Jensen-Shannon divergence as a discriminator learns it, from samples alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from deepgen_fast.analysis.optimal_discriminator import js_from_minimax_value, minimax_value
from deepgen_fast.metrics.evaluation import check_positive
from deepgen_fast.objectives import discriminator_loss
from deepgen_fast.random import seeded


class Sampled(Protocol):
    """What can be drawn from: x `[count, d]`, float32. A `GaussianMixture`, or a wrapped generator."""

    def sample(self, count: int, *, generator: torch.Generator | None = None) -> Tensor: ...


class JSEstimate(NamedTuple):
    """An estimate of a lower bound of JS, its standard error, and the discriminator it comes from."""

    value: float
    standard_error: float
    discriminator: nn.Module


class Standardize(nn.Module):
    """(x - mean) / std, fixed."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


# Of the first layer's weights, for x of standard deviation 1: units as narrow as a fifth of it, so that modes far
# narrower than the whole are told apart within some hundred steps. PyTorch's own initialization is blind to them.
_INITIAL_SLOPE = 5.0


def mlp_discriminator(example: Tensor, *, hidden_dim: int = 128, num_layers: int = 2) -> nn.Sequential:
    """A fully connected discriminator, x `[b, d]` to logits `[b, 1]`, fitted to the place and scale of an example.

    Each unit of the first layer bends at a point of the example, which puts them where the densities are. The
    last layer starts at 0: D(x) = 1/2, instead of wrong with confidence. SiLU, because D* of smooth densities is
    smooth.

    Args:
        example: `[n, d]`, two or more samples of what it will see.
        hidden_dim: units a layer.
        num_layers: hidden layers, one or more.

    Raises:
        ValueError: example is not `[n, d]` of at least two samples, or hidden_dim or num_layers is below 1.
    """
    if example.dim() != 2 or example.shape[0] < 2:
        raise ValueError(f"example: expected samples [n, d], two or more, got shape {list(example.shape)}")
    check_positive("hidden_dim", hidden_dim)
    check_positive("num_layers", num_layers)
    dim = example.shape[1]
    standardize = Standardize(example.mean(0), example.std(0).clamp_min(1e-12))
    first = nn.Linear(dim, hidden_dim)
    knots = standardize(example)[torch.randint(len(example), (hidden_dim,))]
    with torch.no_grad():
        first.weight.normal_(0, _INITIAL_SLOPE / dim**0.5)
        first.bias.copy_(-(first.weight * knots).sum(dim=1))
    layers: list[nn.Module] = [standardize, first, nn.SiLU()]
    for _ in range(num_layers - 1):
        layers += [nn.Linear(hidden_dim, hidden_dim), nn.SiLU()]
    last = nn.Linear(hidden_dim, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def estimate_js_divergence(
    p_data: Sampled,
    p_model: Sampled,
    *,
    discriminator: nn.Module | None = None,
    num_steps: int = 1500,
    batch_size: int = 512,
    lr: float = 5e-3,
    num_evaluation_samples: int = 100_000,
    seed: int = 0,
    on_step: Callable[[int, nn.Module], object] | None = None,
) -> JSEstimate:
    """Train a discriminator to its optimum with the generator fixed, and read JS off its minimax value (13.40).

    The inner loop of Algorithm 13.1 with K = num_steps and G held: minimize 13.32 by Adam, its learning rate falling
    to 0 along a cosine, on new samples at each step, so that nothing can be overfitted. V is then estimated on
    samples of its own; any discriminator gives at most 2 JS - 2 log 2 in expectation, so the estimate errs low, by
    what the network could not learn.

    Args:
        p_data, p_model: what to draw from.
        discriminator: x `[b, d]` to logits `[b]` or `[b, 1]`, trained in place; `mlp_discriminator` when None.
        num_steps, batch_size: updates, and samples of each distribution an update.
        lr: Adam's learning rate at the start.
        num_evaluation_samples: of each distribution, for the estimate: 100,000 leave a standard error under 0.002.
        seed: of weights and samples. The global random state is neither read nor changed.
        on_step: called with the number of updates made, 0 to num_steps, and the discriminator.

    Raises:
        ValueError: num_steps below 0, batch_size or num_evaluation_samples below 2, or a discriminator that gives
            anything but one logit a sample.
    """
    for name, value, least in (
        ("num_steps", num_steps, 0),
        ("batch_size", batch_size, 2),
        ("num_evaluation_samples", num_evaluation_samples, 2),
    ):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        return p_data.sample(count, generator=generator), p_model.sample(count, generator=generator)

    if discriminator is None:
        example = torch.cat(draw(2048))
        with seeded(seed):
            discriminator = mlp_discriminator(example)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, num_steps))
    if on_step is not None:
        on_step(0, discriminator)
    for step in range(num_steps):
        real, fake = draw(batch_size)
        logits = discriminator(torch.cat((real, fake)))
        if logits.numel() != 2 * batch_size:
            raise ValueError(
                f"discriminator: expected one logit a sample, [{2 * batch_size}, 1], got {list(logits.shape)}"
            )
        real_logits, fake_logits = logits.flatten().split(batch_size)
        loss = discriminator_loss(real_logits, fake_logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if on_step is not None:
            on_step(step + 1, discriminator)
    real, fake = draw(num_evaluation_samples)
    with torch.no_grad():
        estimate = minimax_value(discriminator(real), discriminator(fake))
    return JSEstimate(js_from_minimax_value(estimate.value), estimate.standard_error / 2, discriminator)
