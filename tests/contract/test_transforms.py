"""Contract 2, transforms: torch.func.grad and vmap in every mixture, per-example gradients, checkpointing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev, vmap
from torch.utils.checkpoint import checkpoint

import deepgen_fast as dgf
from contract.cases import TYPICAL, Arguments, Case, Shape, case, to_device
from contract.convolutions import TYPICAL_CONVOLUTIONS
from contract.measure import assert_bitwise, assert_within_ulps

LANES = 3


def _scalar(outputs: tuple[Tensor, ...]) -> Tensor:
    return sum(output.sum() for output in outputs)


def _tensors(inputs: Arguments) -> list[str]:
    return [name for name, value in inputs.items() if isinstance(value, Tensor)]


@pytest.mark.parametrize("case", (*TYPICAL, *TYPICAL_CONVOLUTIONS), ids=str)
def test_func_grad(case: Case, backend: str, device: str) -> None:
    """torch.func.grad gives autograd's gradient."""
    inputs = to_device(case.inputs(Shape(3, (5,)), torch.float64), device)
    found = grad(lambda leaves: _scalar(case.run({**inputs, **leaves}, backend)))(
        {name: inputs[name] for name in case.differentiable}
    )
    leaves = {name: inputs[name].clone().requires_grad_() for name in case.differentiable}
    expected = torch.autograd.grad(_scalar(case.run({**inputs, **leaves}, backend)), list(leaves.values()))
    for name, value in zip(case.differentiable, expected, strict=True):
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", (*TYPICAL, *TYPICAL_CONVOLUTIONS), ids=str)
def test_func_grad_of_grad(case: Case, backend: str, device: str) -> None:
    """Nested torch.func.grad gives the second derivative that eager gives."""
    inputs = to_device(case.inputs(Shape(2, (3,)), torch.float64), device)
    name = case.differentiable[0]

    def second(run):
        def first(value: Tensor) -> Tensor:
            return grad(lambda v: _scalar(run({**inputs, name: v})))(value).square().sum()

        return grad(first)(inputs[name])

    found, expected = second(lambda given: case.run(given, backend)), second(case.eager)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def _lanes(case: Case, device: str) -> Arguments:
    """The inputs of several lanes, stacked in front."""
    each = [case.inputs(Shape(2, (5,)), torch.float32) for _ in range(LANES)]
    stacked = {name: torch.stack([lane[name] for lane in each]) for name in _tensors(each[0])}
    return to_device({**each[0], **stacked}, device)


@pytest.mark.parametrize("mapped", ["all", "first", "last", "but-first"])
@pytest.mark.parametrize("case", TYPICAL, ids=str)
def test_vmap(case: Case, mapped: str, backend: str, device: str) -> None:
    """vmap over all tensors, one of them, or all but one, along any dimension: equal to a loop over the lanes."""
    inputs = _lanes(case, device)
    names = _tensors(inputs)
    chosen = {"all": names, "first": names[:1], "last": names[-1:], "but-first": names[1:]}[mapped]
    if not chosen:
        pytest.skip("of one tensor, nothing would be mapped")
    dims, given = {}, {}
    for index, name in enumerate(names):
        value = inputs[name]
        if name not in chosen:
            dims[name], given[name] = None, value[0]
        else:  # the mapped dimension first for some, last for others
            dims[name] = 0 if index % 2 == 0 else value.dim() - 1
            given[name] = value.movedim(0, dims[name])
    others = {name: value for name, value in inputs.items() if name not in names}

    def run(tensors: Arguments) -> tuple[Tensor, ...]:
        return case.run({**others, **tensors}, backend)

    found = vmap(run, in_dims=(dims,))(given)
    for lane in range(LANES):
        alone = run({name: inputs[name][lane if name in chosen else 0].contiguous() for name in names})
        for one, two in zip(found, alone, strict=True):
            assert_within_ulps(one[lane], two, 2)


@pytest.mark.parametrize("case", TYPICAL, ids=str)
def test_per_example_gradients(case: Case, backend: str, device: str) -> None:
    """vmap of grad, as differential privacy and influence functions need it: equal to a loop."""
    inputs = _lanes(case, device)
    names = _tensors(inputs)
    leaves = {name: inputs[name] for name in case.differentiable}
    fixed = {name: inputs[name] for name in names if name not in leaves}
    others = {name: value for name, value in inputs.items() if name not in names}

    def loss(leaves: Arguments, fixed: Arguments) -> Tensor:
        return _scalar(case.run({**others, **fixed, **leaves}, backend))

    found = vmap(grad(loss))(leaves, fixed)
    for lane in range(LANES):
        alone = grad(loss)(*({n: v[lane] for n, v in group.items()} for group in (leaves, fixed)))
        for name in leaves:
            torch.testing.assert_close(found[name][lane], alone[name], rtol=1e-6, atol=1e-6)


def test_per_example_gradients_of_a_model(backend: str, device: str) -> None:
    """Per-example gradients of weights through a linear decoder equal those of eager."""
    torch.manual_seed(0)
    decoder = torch.nn.Linear(4, 9).to(device)
    z, target = torch.randn(6, 4, device=device), torch.rand(6, 9, device=device)
    weights = {name: value.detach() for name, value in decoder.named_parameters()}

    def loss(likelihood, weights: Arguments, z: Tensor, target: Tensor) -> Tensor:
        logits = functional_call(decoder, weights, (z.unsqueeze(0),))
        return likelihood(logits, target.unsqueeze(0)).sum()

    def ours(logits: Tensor, target: Tensor) -> Tensor:
        return dgf.bernoulli_log_likelihood(logits, target, backend=backend)

    def eagers(logits: Tensor, target: Tensor) -> Tensor:
        return -torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")

    gradient = vmap(grad(loss, argnums=1), in_dims=(None, None, 0, 0))
    found, expected = gradient(ours, weights, z, target), gradient(eagers, weights, z, target)
    for name in weights:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)


def test_nested_vmap(backend: str, device: str) -> None:
    """vmap inside vmap: every pair of a logit and a target."""
    logits, target = torch.randn(3, 2, 5, device=device), torch.rand(4, 2, 5, device=device)
    found = vmap(
        vmap(lambda a, b: dgf.bernoulli_log_likelihood(a, b, backend=backend), in_dims=(None, 0)), in_dims=(0, None)
    )(logits, target)
    for i in range(3):
        for j in range(4):
            alone = dgf.bernoulli_log_likelihood(logits[i], target[j], backend=backend)
            assert_within_ulps(found[i, j], alone, 2)


def test_jacobian(backend: str, device: str) -> None:
    """jacrev, which maps the backward, gives the diagonal Jacobian of z and the KL's gradient."""
    logvar, noise = torch.randn(2, 2, 3, dtype=torch.float64, device=device)
    run = lambda mean: dgf.reparameterize_kl(mean, logvar, noise=noise, backend=backend)  # noqa: E731
    mean = torch.randn(2, 3, dtype=torch.float64, device=device)
    of_z, of_kl = jacrev(run)(mean)
    torch.testing.assert_close(of_z.reshape(6, 6), torch.eye(6, dtype=torch.float64, device=device))
    expected = torch.block_diag(*mean).reshape(2, 2, 3)
    torch.testing.assert_close(of_kl, expected)


@pytest.mark.parametrize("num_samples", [None, 2])
def test_randomness_of_vmap(num_samples: int | None, backend: str, device: str) -> None:
    """vmap's randomness means what it means for torch.randn: lanes differ, share, or it is an error."""
    mean = torch.zeros(3, 2, 5, device=device)

    def sample(mean: Tensor) -> Tensor:
        return dgf.reparameterize_kl(mean, mean, num_samples=num_samples, backend=backend)[0]

    different = vmap(sample, randomness="different")(mean)
    assert not torch.equal(different[0], different[1]) and not torch.equal(different[1], different[2])
    same = vmap(sample, randomness="same")(mean)
    assert torch.equal(same[0], same[1]) and torch.equal(same[1], same[2])
    assert not torch.equal(same[0, ..., 0, :], same[0, ..., 1, :])
    with pytest.raises(RuntimeError, match="random"):
        vmap(sample)(mean)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint(use_reentrant: bool, backend: str, device: str) -> None:
    """A recomputed forward draws the noise it drew before: gradients equal those without checkpointing, to the bit."""

    def encode_and_score(x: Tensor) -> Tensor:
        z, kl = dgf.reparameterize_kl(x, 0.5 * x, backend=backend)
        return (z.square() * x).sum() + kl.sum()

    x = torch.randn(4, 7, device=device)
    grads = []
    for run in (encode_and_score, lambda x: checkpoint(encode_and_score, x, use_reentrant=use_reentrant)):
        torch.manual_seed(11)
        leaf = x.clone().requires_grad_()
        run(leaf).backward()
        grads.append(leaf.grad)
    assert_bitwise(grads[1], grads[0])


def test_checkpoint_of_every_operator(backend: str, device: str) -> None:
    """Likelihoods and the loss under checkpointing keep their gradients."""
    for name in ("bernoulli_log_likelihood-samples", "gaussian_log_likelihood-mask", "negative_elbo-bernoulli",
                 "minibatch_discrimination-others"):  # fmt: skip
        chosen = case(name)
        inputs = to_device(chosen.inputs(Shape(3, (5,)), torch.float32), device)
        grads = []
        for wrap in (False, True):
            leaves = {n: inputs[n].clone().requires_grad_() for n in chosen.differentiable}

            def run(*values: Tensor, chosen: Case = chosen, inputs: Arguments = inputs) -> Tensor:
                given = {**inputs, **dict(zip(chosen.differentiable, values, strict=True))}
                return _scalar(chosen.run(given, backend))

            values = tuple(leaves.values())
            (checkpoint(run, *values, use_reentrant=False) if wrap else run(*values)).backward()
            grads.append([leaf.grad for leaf in values])
        for one, two in zip(*grads, strict=True):
            assert_bitwise(one, two)
