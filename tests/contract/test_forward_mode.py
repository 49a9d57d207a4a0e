"""Contract 2, forward mode: tangents are those of the eager expression, to the second order, and never lost."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import hessian, jacfwd, jacrev, jvp

import deepgen_fast as dgf
from contract.cases import CASES, TYPICAL, Arguments, Case, Shape, to_device
from contract.convolutions import CONVOLUTIONS, TYPICAL_CONVOLUTIONS

TINY = Shape(2, (3,))
EVERY = (*CASES, *CONVOLUTIONS)
SOME = (*TYPICAL, *TYPICAL_CONVOLUTIONS)


def _inputs(case: Case, device: str, dtype: torch.dtype = torch.float64, shape: Shape = TINY) -> Arguments:
    return to_device(case.inputs(shape, dtype), device)


def _function(case: Case, inputs: Arguments, backend: str | None):
    """Of the differentiable inputs alone; of the eager expression where there is no backend."""

    def function(*values: Tensor) -> tuple[Tensor, ...]:
        given = {**inputs, **dict(zip(case.differentiable, values, strict=True))}
        return case.eager(given) if backend is None else case.run(given, backend)

    return function, tuple(inputs[name] for name in case.differentiable)


def _scalar_of_first(case: Case, inputs: Arguments, backend: str | None):
    """A curved scalar of the first differentiable input."""
    function, values = _function(case, inputs, backend)

    def scalar(first: Tensor) -> Tensor:
        return sum(output.square().sum() for output in function(first, *values[1:]))

    return scalar, values[0]


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_first_order(case: Case, backend: str, device: str) -> None:
    """Every option against finite differences, one tangent at a time and many at once."""
    function, values = _function(case, _inputs(case, device), backend)
    leaves = tuple(value.requires_grad_() for value in values)
    assert gradcheck(
        function,
        leaves,
        check_forward_ad=True,
        check_backward_ad=False,
        check_batched_forward_grad=True,
        fast_mode=True,
    )


@pytest.mark.parametrize("case", SOME, ids=str)
def test_forward_over_reverse(case: Case, backend: str, device: str) -> None:
    """The tangent of a gradient, as Hessian-vector products take it, against finite differences."""
    function, values = _function(case, _inputs(case, device), backend)
    leaves = tuple(value.requires_grad_() for value in values)
    assert gradgradcheck(
        function, leaves, check_fwd_over_rev=True, check_rev_over_rev=False, check_undefined_grad=False, fast_mode=True
    )


@pytest.mark.parametrize("graph", [False, True], ids=["backward", "create_graph"])
@pytest.mark.parametrize("case", SOME, ids=str)
def test_gradient_has_the_tangent(case: Case, graph: bool, backend: str, device: str) -> None:
    """``backward`` inside a dual level, whether or not it is recorded, gives gradients with their tangents."""
    inputs = _inputs(case, device)
    tangent = torch.randn_like(inputs[case.differentiable[0]])
    found = []
    for run in (backend, None):
        scalar, first = _scalar_of_first(case, inputs, run)
        with forward_ad.dual_level():
            leaf = forward_ad.make_dual(first.clone().requires_grad_(), tangent)
            (grad,) = torch.autograd.grad(scalar(leaf), leaf, create_graph=graph)
            found.append(forward_ad.unpack_dual(grad).tangent)
    assert found[0] is not None
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("recording", [False, True], ids=["no_grad", "grad"])
@pytest.mark.parametrize("case", SOME, ids=str)
def test_tangents_without_recording(case: Case, recording: bool, backend: str, device: str) -> None:
    """No grad mode loses a tangent; the tangent has the value's dtype. One input alone, too."""
    inputs = _inputs(case, device, torch.float32, Shape(3, (5,)))
    function, values = _function(case, inputs, backend)
    plain, _ = _function(case, inputs, None)
    expected = function(*values)
    for chosen in (range(len(values)), *((i,) for i in range(len(values)))):
        tangents = [torch.randn_like(value) for value in values]
        with torch.set_grad_enabled(recording), forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(v, t) if i in chosen else v
                for i, (v, t) in enumerate(zip(values, tangents, strict=True))
            ]
            found = [forward_ad.unpack_dual(output) for output in function(*duals)]
            wanted = [forward_ad.unpack_dual(output).tangent for output in plain(*duals)]
        for dual, value, tangent in zip(found, expected, wanted, strict=True):
            torch.testing.assert_close(dual.primal, value, rtol=1e-5, atol=1e-5)  # by other kernels, for some
            moved = torch.zeros_like(value) if dual.tangent is None else dual.tangent
            assert moved.dtype == value.dtype
            tangent = torch.zeros_like(value) if tangent is None else tangent
            torch.testing.assert_close(moved, tangent.to(value.dtype), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("case", SOME, ids=str)
def test_half_precision(case: Case, dtype: torch.dtype, backend: str, device: str) -> None:
    """Tangents have the output's dtype, and are right to the inputs'."""
    inputs = _inputs(case, device, dtype, Shape(3, (5,)))
    function, values = _function(case, inputs, backend)
    wide = {n: v.double() if isinstance(v, Tensor) and v.is_floating_point() else v for n, v in inputs.items()}
    plain, wide_values = _function(case, wide, None)
    tangents = [torch.randn_like(value) for value in values]
    outputs, found = jvp(function, values, tuple(tangents))
    _, expected = jvp(plain, wide_values, tuple(tangent.double() for tangent in tangents))
    for output, one, two in zip(outputs, found, expected, strict=True):
        # PyTorch's own product of a number and a scalar tensor has a float64 tangent here.
        assert one.dtype == output.dtype or output.dim() == 0
        torch.testing.assert_close(one.double(), two, rtol=6e-2, atol=6e-2)


@pytest.mark.parametrize("case", SOME, ids=str)
def test_jacobians(case: Case, backend: str, device: str) -> None:
    """jacfwd maps tangents through the operator: the Jacobian that jacrev of the eager expression gives."""
    inputs = _inputs(case, device)
    (ours, values), (plain, _) = _function(case, inputs, backend), _function(case, inputs, None)
    found = jacfwd(lambda first: ours(first, *values[1:]))(values[0])
    expected = jacrev(lambda first: plain(first, *values[1:]))(values[0])
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-10)


SECOND = {
    "hessian": hessian,
    "forward-over-forward": lambda f: jacfwd(jacfwd(f)),
    "reverse-over-forward": lambda f: jacrev(jacfwd(f)),
}


@pytest.mark.parametrize("order", SECOND)
@pytest.mark.parametrize("case", SOME, ids=str)
def test_second_order(case: Case, order: str, backend: str, device: str) -> None:
    """Every order of the two modes gives the Hessian of the eager expression."""
    inputs = _inputs(case, device)
    (ours, first), (plain, _) = _scalar_of_first(case, inputs, backend), _scalar_of_first(case, inputs, None)
    expected = jacrev(jacrev(plain))(first)
    torch.testing.assert_close(SECOND[order](ours)(first), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@pytest.mark.parametrize("case", SOME, ids=str)
def test_vectorized_jacobian(case: Case, strategy: str, backend: str, device: str) -> None:
    """``torch.autograd.functional.jacobian(vectorize=True)``, in both modes, gives what it gives for eager."""
    inputs = _inputs(case, device)
    found, expected = (
        torch.autograd.functional.jacobian(*_function(case, inputs, run), vectorize=True, strategy=strategy)
        for run in (backend, None)
    )
    for one, two in zip(found, expected, strict=True):
        for a, b in zip(*((x if isinstance(x, tuple) else (x,)) for x in (one, two)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_generated_noise_is_a_constant(backend: str, device: str) -> None:
    """z moves by the mean's tangent and the noise that it was made of, whichever way the noise was drawn."""
    mean, tangent = torch.randn(2, 3, 5, dtype=torch.float64, device=device)
    scale = torch.zeros_like(mean)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(scale, tangent)
        z, kl = dgf.reparameterize_kl(mean, dual, num_samples=2, backend=backend)
        moved = forward_ad.unpack_dual(z)
        torch.testing.assert_close(moved.tangent, (moved.primal - mean) * 0.5 * tangent)
        torch.testing.assert_close(forward_ad.unpack_dual(kl).tangent, torch.zeros(3, dtype=torch.float64))
    z, moved = jvp(lambda s: dgf.reparameterize_kl(mean, s, num_samples=2, backend=backend)[0], (scale,), (tangent,))
    torch.testing.assert_close(moved, (z - mean) * 0.5 * tangent)
