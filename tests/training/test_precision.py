from __future__ import annotations

import pytest
import torch
from torch import nn

from deepgen_fast.models import VAE, BernoulliLikelihood, two_layer_vae
from deepgen_fast.objectives import ELBO
from deepgen_fast.training.machine.precision import build_precision


def gradients(name: str, model: VAE, x: torch.Tensor) -> dict[str, torch.Tensor]:
    precision = build_precision(name, model)
    precision.zero_grad()
    loss = ELBO()(precision.forward_model, x, generator=torch.Generator().manual_seed(0))
    loss.value.backward()
    precision.collect_gradients()
    return {key: parameter.grad.clone() for key, parameter in model.named_parameters()}


@pytest.mark.parametrize("variance", ["unit", "shared", "per_pixel"])
def test_bf16_gradients_are_float32_and_near(variance):
    torch.manual_seed(0)
    model = two_layer_vae((1, 4, 4), hidden_dim=32, latent_dim=2, likelihood="gaussian", variance=variance)
    x = torch.rand(64, 1, 4, 4)
    exact, narrow = (gradients(name, model, x) for name in ("float32", "bf16"))
    for name, gradient in exact.items():
        assert narrow[name].dtype == torch.float32
        error = torch.linalg.vector_norm(narrow[name] - gradient) / torch.linalg.vector_norm(gradient)
        assert error < 0.05, name
    # It really ran in bfloat16: to the last digit the two would agree otherwise.
    assert not torch.equal(exact["encoder.hidden.weight"], narrow["encoder.hidden.weight"])


def test_refresh_hands_on_changed_weights():
    model = two_layer_vae((4,), hidden_dim=4, latent_dim=2)
    precision = build_precision("bf16", model)
    with torch.no_grad():
        model.decoder.output.bias.fill_(3.0)
    precision.refresh()
    assert precision.forward_model.narrow.decoder.output.bias.unique().tolist() == [3.0]
    assert model.decoder.output.bias.dtype == torch.float32


class NormalizedEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6)
        self.mean = nn.Linear(6, 2)
        self.scale = nn.Linear(6, 2)

    def forward(self, x):
        h = self.norm(self.hidden(x))
        return self.mean(h), self.scale(h)


def test_normalization_keeps_float32_weights_and_one_set_of_statistics():
    torch.manual_seed(0)
    model = VAE(NormalizedEncoder(), nn.Linear(2, 4), event_shape=(4,), latent_dim=2, likelihood=BernoulliLikelihood())
    found = gradients("bf16", model, torch.rand(32, 4))
    assert found["encoder.norm.weight"].dtype == torch.float32
    assert found["encoder.norm.weight"].abs().sum() > 0
    assert model.encoder.norm.num_batches_tracked.item() == 1
    assert model.encoder.norm.running_mean.abs().sum() > 0


def test_unknown_precision_is_named():
    with pytest.raises(ValueError, match="precision: expected 'float32' or 'bf16', got 'fp8'"):
        build_precision("fp8", two_layer_vae((4,), hidden_dim=4, latent_dim=2))
