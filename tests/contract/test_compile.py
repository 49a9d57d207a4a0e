"""Contract 3, compile: opcheck on every C++ operator, and torch.compile(fullgraph=True) equal to eager."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import deepgen_fast as dgf
from contract.cases import Arguments, Case, Shape, case
from contract.convolutions import TYPICAL_CONVOLUTIONS, ConvolutionCase
from contract.measure import assert_relative, assert_within_ulps
from contract.raw import RAW_CALLS, RawCall
from deepgen_fast import backends

pytestmark = pytest.mark.skipif(bool(backends.unavailable("cpu")), reason=str(backends.unavailable("cpu")))

COMPILED = tuple(
    case(name)
    for name in (
        "reparameterize_kl-logvar-samples-prior",
        "bernoulli_log_likelihood-bool-mask",
        "gaussian_log_likelihood-samples-shared",
        "negative_elbo-free-bits",
        "minibatch_discrimination-others",
    )
)


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.use_deterministic_algorithms(False)  # the compiler's own buffers need not be filled
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("call", RAW_CALLS, ids=str)
def test_opcheck(call: RawCall) -> None:
    """Schemas tell the truth, fake kernels give the shapes, strides and dtypes of the real ones, also when dynamic."""
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    result = torch.library.opcheck(call.operator, call.arguments(torch.float32), test_utils=tests)
    assert set(result.values()) == {"SUCCESS"}


def _training_step(case: Case, inputs: Arguments):
    """A function of the differentiable inputs alone, and these."""
    drawn = {name: value for name, value in inputs.items() if name != "noise"}

    def step(*values: Tensor) -> tuple[Tensor, ...]:
        return case.run({**drawn, **dict(zip(case.differentiable, values, strict=True))})

    return step, [inputs[name] for name in case.differentiable]


def _run(step, values: list[Tensor]) -> list[Tensor]:
    leaves = [value.detach().clone().requires_grad_() for value in values]
    torch.manual_seed(13)
    outputs = step(*leaves)
    grads = torch.autograd.grad(sum(output.sum() for output in outputs), leaves)
    return [value.detach() for value in (*outputs, *grads)]


@pytest.mark.parametrize("case", (*COMPILED, *TYPICAL_CONVOLUTIONS), ids=str)
def test_fullgraph_equals_eager(case: Case) -> None:
    """One graph, forward and backward; generated noise is the same as in eager after the same manual_seed."""
    step, values = _training_step(case, case.inputs(Shape(4, (9,)), torch.float32))
    for found, expected in zip(_run(torch.compile(step, fullgraph=True), values), _run(step, values), strict=True):
        if isinstance(case, ConvolutionCase):  # sums over what the compiler rounds in its own way
            assert_relative(found, expected.double(), expected, 1e-6, torch.float32)
        else:
            assert_within_ulps(found, expected, 2)


def test_dynamic_batch() -> None:
    """One graph serves batches of several sizes."""
    compiled = torch.compile(
        lambda logits, target: dgf.bernoulli_log_likelihood(logits, target).mean(), fullgraph=True, dynamic=True
    )
    for batch in (3, 8, 5):
        logits, target = torch.randn(batch, 9, requires_grad=True), torch.rand(batch, 9)
        found = compiled(logits, target)
        assert_within_ulps(found.detach(), dgf.bernoulli_log_likelihood(logits, target).mean().detach(), 2)
        (grad,) = torch.autograd.grad(found, logits)
        torch.testing.assert_close(grad, (target - logits.sigmoid()) / batch, rtol=1e-6, atol=1e-7)


class _SmallVAE(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = torch.nn.Linear(9, 4), torch.nn.Linear(2, 9)

    def forward(self, x: Tensor) -> Tensor:
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        z, _ = dgf.reparameterize_kl(mean, logvar)
        return dgf.negative_elbo(self.decoder(z), x, mean, logvar)


def _loss_and_gradients(model: _SmallVAE, function, x: Tensor, autocast: bool) -> list[Tensor]:
    model.zero_grad()
    torch.manual_seed(21)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = function(x)
    loss.backward()
    return [loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())]


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "autocast"])
def test_compiled_vae_step(autocast: bool) -> None:
    """A whole VAE compiles into one graph, in bf16 autocast too, and trains as it does in eager."""
    model, x = _SmallVAE(), torch.rand(6, 9)
    expected = _loss_and_gradients(model, model, x, autocast)
    found = _loss_and_gradients(model, torch.compile(model, fullgraph=True), x, autocast)
    # Inductor fuses what surrounds the operators: float32 rounding, or bf16's where autocast casts.
    tolerance = 2e-2 if autocast else 1e-5
    for one, two in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance)


def test_autocast_keeps_sums_in_float32() -> None:
    """Under autocast, mixed dtypes are promoted, and values stay in float32."""
    mean, logvar = torch.randn(3, 8).bfloat16(), torch.randn(3, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z, kl = dgf.reparameterize_kl(mean, logvar)
        ll = dgf.bernoulli_log_likelihood(mean, logvar.sigmoid())
    assert (z.dtype, kl.dtype, ll.dtype) == (torch.float32, torch.float32, torch.float32)
    assert torch.equal(kl, dgf.reparameterize_kl(mean.float(), logvar)[1])
    assert torch.equal(ll, dgf.bernoulli_log_likelihood(mean, logvar.sigmoid()))


@pytest.mark.parametrize("preserve", [True, False], ids=["state-kept", "state-moves"])
@pytest.mark.parametrize("compiler", ["aot_eager", "inductor"])
def test_checkpoint_inside_a_graph(compiler: str, preserve: bool) -> None:
    """torch.utils.checkpoint around an operator that draws its noise: the recomputed forward draws the same again."""

    def encode(mean: Tensor, logvar: Tensor) -> Tensor:
        z, kl = dgf.reparameterize_kl(mean, logvar)
        return (z * z.detach()).sum() + kl.sum()

    def checkpointed(mean: Tensor, logvar: Tensor) -> Tensor:
        return checkpoint(encode, mean, logvar, use_reentrant=False, preserve_rng_state=preserve)

    values = [torch.randn(4, 3), torch.randn(4, 3)]
    expected = _run(lambda *leaves: (encode(*leaves),), values)
    compiled = torch.compile(checkpointed, backend=compiler, fullgraph=True)
    for found, value in zip(_run(lambda *leaves: (compiled(*leaves),), values), expected, strict=True):
        assert_within_ulps(found, value, 8)
