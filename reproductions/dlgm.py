"""Deep latent Gaussian model (Rezende, Mohamed, Wierstra 2014): two stochastic layers beside the one-layer VAE.

    python -m reproductions.dlgm

All three see the same binary digits, drawn anew at every step, for as many steps, by the same optimizer, with hidden
layers of one width and 32 latent dimensions in all; how the two layers share them was chosen on seed 0. Log p(x) of the
test digits, made binary once, is importance-weighted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from deepgen_fast.metrics import evaluate_elbo, importance_weighted_log_likelihood
from deepgen_fast.runs import load_run_data
from deepgen_fast.systems import RunConfig
from deepgen_fast.training import save_image_grid
from reproductions.acceptance import Claim, Options, accept
from reproductions.training import trained

SAMPLES = 500  # of z a digit
STEPS: dict[str, Any] = {
    "trainer__epochs": 100,
    "trainer__batch_size": 64,
    "trainer__learning_rate": 1e-3,
    "trainer__schedule": "cosine",
    "trainer__ema_decay": 0.99,
    "data__binarize": "stochastic",
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": ("vae", {"model__latent_dim": 32, "model__hidden_dim": 512}),
    "diagonal": ("dlgm", {"model__covariance": "diagonal"}),
    "rank_one": ("dlgm", {"model__covariance": "rank_one"}),
}

CLAIMS = (
    Claim("gain_diagonal", "log p(x) above the one-layer VAE's, diagonal posterior, nats", 0.0, digits=2),
    Claim("gain_rank_one", "the same, rank-1 posterior", 0.0, digits=2),
    Claim("vae", "log p(x) of the one-layer VAE", digits=2),
    Claim("diagonal", "of two stochastic layers, diagonal posterior", digits=2),
    Claim("rank_one", "of two stochastic layers, rank-1 posterior", digits=2),
    Claim("bound_diagonal", "ELBO, diagonal", digits=2),
    Claim("bound_rank_one", "ELBO, rank-1", digits=2),
)


def measure(options: Options) -> dict[str, float]:
    """Train the three, and estimate log p(x) of the test digits."""
    config = RunConfig.for_system("vae")().with_overrides({"data.binarize": "stochastic"})
    test = load_run_data(config).test
    assert test is not None and test.images is not None
    found: dict[str, float] = {}
    for name, (system, overrides) in MODELS.items():
        model, _ = trained(system, options.seed, **STEPS, **overrides)
        estimate = importance_weighted_log_likelihood(model, test.images, SAMPLES, seed=options.seed)
        found[name] = estimate.mean().item()
        found[f"bound_{name}"] = evaluate_elbo(model, test.images, num_samples=10, seed=options.seed).elbo
        if name == "rank_one" and options.pictures is not None:
            draw(model, options.pictures / "dlgm.png")
    return found | {f"gain_{name}": found[name] - found["vae"] for name in ("diagonal", "rank_one")}


def draw(model: torch.nn.Module, path: Path) -> None:
    """Rows of samples with one z of the second layer, the first layer's drawn anew in each."""
    generator = torch.Generator().manual_seed(0)
    first, second = model.latent_dims
    z = torch.randn(80, first + second, generator=generator)
    z[:, first:] = z[::10, first:].repeat_interleave(10, 0)
    with torch.no_grad():
        save_image_grid(model.likelihood.mean(model.decode(z)), path, 10)


if __name__ == "__main__":
    accept(
        "dlgm",
        "Deep latent Gaussian model (Rezende, Mohamed, Wierstra 2014)",
        CLAIMS,
        measure,
        command="deepgen-fast train dlgm --binarize stochastic",
    )
