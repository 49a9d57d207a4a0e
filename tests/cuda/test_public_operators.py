"""The public operators on emulated CUDA kernels: values and all gradients as on the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from simt.backend import emulated_in_place_of_cpu
from torch import Tensor

import deepgen_fast as dgf
from cuda.kernels import why_no_emulation
from deepgen_fast import backends

pytestmark = pytest.mark.skipif(
    bool(why_no_emulation() or backends.unavailable("cpu")), reason="needs a C++ compiler and the CPU library"
)

SAMPLES, BATCH, EVENT = 2, 3, (2, 11)


@pytest.fixture(autouse=True)
def _emulated() -> Iterator[None]:
    with emulated_in_place_of_cpu():
        yield


def _inputs() -> dict[str, Tensor]:
    torch.manual_seed(4)
    shapes = {
        "output": (SAMPLES, BATCH, *EVENT), "target": (BATCH, *EVENT), "mean": (BATCH, 5), "scale": (BATCH, 5),
        "shared": (), "row": EVENT, "prior": (5,),
    }  # fmt: skip
    return {name: torch.randn(shape, dtype=torch.float64, requires_grad=True) for name, shape in shapes.items()}


def _latents(t: dict[str, Tensor], backend: str) -> Tensor:
    z, kl = dgf.reparameterize_kl(
        t["mean"], t["scale"], num_samples=SAMPLES, prior_mean=t["prior"], backend=backend,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    return (z * z).sum() + kl.square().sum()


def _loss(logvar: str | None, free_bits: float) -> Callable[[dict[str, Tensor], str], Tensor]:
    def run(t: dict[str, Tensor], backend: str) -> Tensor:
        likelihood = {"likelihood": "gaussian", "likelihood_logvar": t[logvar]} if logvar else {}
        loss = dgf.negative_elbo(
            t["output"], t["target"].detach().sigmoid(), t["mean"], t["scale"], beta=0.5, free_bits=free_bits,
            backend=backend, **likelihood,
        )  # fmt: skip
        assert isinstance(loss, Tensor)
        return 1.5 * loss

    return run


CALLS: dict[str, Callable[[dict[str, Tensor], str], Tensor]] = {
    "reparameterize_kl": _latents,
    "bernoulli": lambda t, b: dgf.bernoulli_log_likelihood(t["output"], t["target"], backend=b).square().sum(),
    "gaussian": lambda t, b: dgf.gaussian_log_likelihood(t["output"], t["target"], backend=b).square().sum(),
    "gaussian, shared": lambda t, b: dgf.gaussian_log_likelihood(
        t["output"], t["target"], logvar=t["shared"], backend=b
    ).square().sum(),
    "gaussian, row": lambda t, b: dgf.gaussian_log_likelihood(
        t["output"], t["target"], logvar=t["row"], reduction="none", backend=b
    ).square().sum(),
    "minibatch_discrimination": lambda t, b: dgf.minibatch_discrimination(t["output"][0], backend=b).square().sum(),
    "loss": _loss(None, 0.0),
    "loss, free bits": _loss(None, 0.8),
    "loss, shared": _loss("shared", 0.0),
    "loss, row": _loss("row", 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients(name: str) -> None:
    results = []
    for backend in ("cpu", "reference"):
        inputs = _inputs()
        value = CALLS[name](inputs, backend)
        value.backward()
        results.append([value, *(t.grad for t in inputs.values())])
    for found, expected in zip(*results, strict=True):
        assert (found is None) == (expected is None)
        if expected is not None:
            # Noise is float32 in any type; all else is float64.
            torch.testing.assert_close(found, expected, rtol=1e-6 if "kl" in name else 1e-12, atol=1e-12)
