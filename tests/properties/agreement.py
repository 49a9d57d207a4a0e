"""The property: values and gradients are the eager expression's, as contract 1, 2 and 8 say, whatever the operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from contract import eager
from contract.cases import Arguments
from contract.measure import ulp
from torch import Tensor

import deepgen_fast as dgf
from properties.operands import Operand
from properties.rounding import RoundingNoise

Run = Callable[[Arguments], tuple[Tensor, ...]]

DRAWS = 4  # of the rounding noise
# Times the largest of so few draws at an element: it may be small by chance. A tensor's elements mostly are of a kind,
# so that the largest of nine in ten tells more.
SPREAD, SPREAD_OF_MOST = 6.0, 2.0


@dataclass(frozen=True)
class Call:
    """One call of an operator, written so that a failing example can be read.

    Args:
        op: name of the public function, and of the eager expression.
        operands: the tensors among its arguments.
        options: its other arguments.
        differentiable: names of the operands that a gradient is asked of.
        incoming: scale of the incoming gradients.
        algorithm: of a convolution; it has no meaning for the eager expression.
        convolution: relative error that a convolution may make, 0 where there is none.
        by_norm: errors are measured by the norm of a whole tensor.
    """

    op: str
    operands: dict[str, Operand]
    options: Arguments
    differentiable: tuple[str, ...]
    incoming: float = 1.0
    algorithm: str | None = None
    convolution: float = 0.0
    by_norm: bool = False

    @cached_property
    def inputs(self) -> Arguments:
        return {name: operand.make() for name, operand in self.operands.items()}

    def run(self, inputs: Arguments, backend: str = "cpu") -> tuple[Tensor, ...]:
        algorithm = {} if self.algorithm is None or backend == "reference" else {"algorithm": self.algorithm}
        found = getattr(dgf, self.op)(**inputs, **self.options, **algorithm, backend=backend)
        return found if isinstance(found, tuple) else (found,)

    def eager(self, inputs: Arguments) -> tuple[Tensor, ...]:
        return getattr(eager, self.op)(**inputs, **self.options)


@dataclass(frozen=True)
class Results:
    outputs: list[Tensor]
    gradients: list[Tensor]

    def all(self) -> list[Tensor]:
        return [*self.outputs, *self.gradients]


def _evaluate(call: Call, run: Run, inputs: Arguments, incoming: list[Tensor]) -> Results:
    leaves = {
        name: value.detach().requires_grad_() if name in call.differentiable else value
        for name, value in inputs.items()
    }
    leaves |= {name: value.clone() for name, value in inputs.items() if name.startswith("running_")}
    outputs = run(leaves)
    if not call.differentiable:
        return Results([output.detach() for output in outputs], [])
    sources = [leaves[name] for name in call.differentiable]
    pairs = [(o, g.to(o.dtype)) for o, g in zip(outputs, incoming, strict=True) if o.requires_grad]
    gradients = torch.autograd.grad(
        [output for output, _ in pairs], sources, [gradient for _, gradient in pairs], materialize_grads=True
    )
    return Results([output.detach() for output in outputs], list(gradients))


def _dense(inputs: Arguments, dtype: torch.dtype | None) -> Arguments:
    """The same numbers in ``dtype`` (None: as they are), contiguous."""
    dense = {}
    for name, value in inputs.items():
        wide = value.to(dtype) if dtype and value.is_floating_point() else value
        dense[name] = wide.resolve_neg().clone(memory_format=torch.contiguous_format)
    return dense


def check(call: Call) -> None:
    """The operator's values and gradients against the float64 truth, within what eager's own rounding explains."""
    floating = [v for v in call.inputs.values() if isinstance(v, Tensor) and v.is_floating_point()]
    dtype = floating[0].dtype
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    finite_input = all(value.isfinite().all() for value in floating)
    exact = _dense(call.inputs, torch.float64)
    incoming = _incoming(call, exact, dtype)
    found = _evaluate(call, call.run, call.inputs, incoming)
    truth = _truth(call, exact, incoming)
    # Sums are accumulated in float32 whatever the inputs; a convolution's layers round to them on the way.
    rounding = dtype if call.by_norm else wide
    own = _evaluate(call, call.eager, _dense(call.inputs, None if call.by_norm else wide), incoming)
    noisy = [_noisy(call, exact, incoming, rounding, seed) for seed in range(DRAWS)]
    shares = _rounded_shares(call, exact, incoming, dtype)
    names = [f"output {i}" for i in range(len(found.outputs))] + list(call.differentiable)
    for name, value, true, eagers, *noise in zip(
        names, *(results.all() for results in (found, truth, own, *noisy)), strict=True
    ):
        spread = torch.stack([(one - true).abs().nan_to_num() for one in noise]).amax(0)
        repeated = name in _WHOLE and exact[name].shape != exact[_WHOLE[name]].shape
        _check_kind(name, value, true, eagers, finite_input, repeated)
        _check_error(name, value, true, eagers, spread + shares.get(name, 0.0), call.by_norm)
    if not call.by_norm and call.options.get("beta") != 0:  # a KL that does not count brings no NaN
        _check_nan(call, exact, found)
    if call.incoming == 0 and finite_input:
        assert all((gradient == 0).all() for gradient in found.gradients), "zero incoming gradient"


def _incoming(call: Call, exact: Arguments, dtype: torch.dtype) -> list[Tensor]:
    """Incoming gradients that every dtype holds."""
    generator = torch.Generator().manual_seed(1)
    drawn = [
        (call.incoming * torch.randn(output.shape, generator=generator, dtype=torch.float64)).bfloat16().double()
        for output in call.eager(exact)
    ]
    return [one.clamp(-30000, 30000) for one in drawn] if dtype == torch.float16 else drawn


def _truth(call: Call, exact: Arguments, incoming: list[Tensor]) -> Results:
    """Eager in float64; where that leaves the range, as the logarithm of a variance that underflowed does, the
    operator's specification."""
    expected = _evaluate(call, call.eager, exact, incoming)
    if all(value.isfinite().all() for value in expected.all()):
        return expected
    specified = _evaluate(call, lambda given: call.run(given, "reference"), exact, incoming)
    if any(output.isnan().any() for output in expected.outputs):  # whose finite gradients mean nothing either
        return specified
    pairs = zip(expected.all(), specified.all(), strict=True)
    chosen = [torch.where(one.isfinite(), one, two) for one, two in pairs]
    return Results(chosen[: len(expected.outputs)], chosen[len(expected.outputs) :])


def _noisy(call: Call, exact: Arguments, incoming: list[Tensor], dtype: torch.dtype, seed: int) -> Results:
    with RoundingNoise(dtype, seed, call.convolution):
        return _evaluate(call, call.eager, exact, incoming)


def _check_kind(name: str, value: Tensor, true: Tensor, own: Tensor, finite_input: bool, repeated: bool) -> None:
    """Where eager has a number, or an infinity, so has the operator.

    But the gradient of an operand that repeats over rows is a sum of rows' shares: infinite ones of both signs give
    NaN, where eager, which adds up before it multiplies, has an infinity.
    """
    assert value.shape == true.shape, f"{name}: shape {list(value.shape)}, expected {list(true.shape)}"
    known = ~(own.isnan() | true.isnan())
    rounded, own = true.to(value.dtype), own.to(value.dtype)
    if repeated:
        known &= rounded.isfinite()
    expected = known | rounded.isfinite() if finite_input else known
    assert not (value.isnan() & expected).any(), f"{name}: NaN in place of\n{true}\n{value}"
    infinite = known & own.isinf() & true.isinf()
    assert torch.equal(value[infinite], rounded[infinite]), f"{name}: other infinities\n{value}\n{rounded}"
    finite = known & own.isfinite() & rounded.isfinite()
    assert value[finite].isfinite().all(), f"{name}: infinite where eager is not\n{value}\n{own}"


def _check_error(name: str, value: Tensor, true: Tensor, own: Tensor, spread: Tensor, by_norm: bool) -> None:
    """Where eager's result is finite, the operator's error is one that eager may make, plus one unit in the last
    place."""
    finite = own.to(value.dtype).isfinite() & true.to(value.dtype).isfinite()
    error, eagers = (torch.where(finite, found.double() - true, 0.0).abs() for found in (value, own))
    one_ulp = ulp(torch.where(finite, true, 1.0), value.dtype)
    if by_norm:
        error, eagers, one_ulp, spread = (part[finite].norm() for part in (error, eagers, one_ulp, spread))
    most = spread.flatten().sort().values[int(0.9 * (spread.numel() - 1))] if spread.numel() else 0.0
    allowed = torch.maximum((SPREAD * spread).clamp(min=SPREAD_OF_MOST * most), eagers) + one_ulp
    allowed = allowed + 64 * torch.finfo(value.dtype).tiny
    if not (error <= allowed).all():
        place = int((error - allowed).argmax())
        detail = "" if by_norm else f", {value.flatten()[place]:.9g} for {true.flatten()[place]:.9g}"
        raise AssertionError(
            f"{name}{detail}: error {error.flatten()[place]:.3e}, allowed {allowed.flatten()[place]:.3e}"
        )


# What each operand is broadcast to.
_WHOLE = {"prior_mean": "mean", "prior_logvar": "mean", "logvar": "mean", "std": "mean", "pre_softplus": "mean",
          "likelihood_logvar": "decoder_output"}  # fmt: skip


def _rounded_shares(call: Call, exact: Arguments, incoming: list[Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """What the gradient of a repeated operand may lose: in 16 bits each row's share is rounded before the sum, as
    eager's is."""
    if dtype in (torch.float32, torch.float64):
        return {}
    shapes = {
        name: exact[name].shape
        for name in call.differentiable
        if name in _WHOLE and exact[name].shape != exact[_WHOLE[name]].shape
    }
    if not shapes:
        return {}
    whole = {name: exact[name].expand(exact[_WHOLE[name]].shape).clone() for name in shapes}
    shares = _evaluate(call, call.eager, exact | whole, incoming).gradients
    eps = torch.finfo(dtype).eps
    return {
        name: eps * share.abs().nan_to_num().sum_to_size(shapes[name])
        for name, share in zip(call.differentiable, shares, strict=True)
        if name in shapes
    }


def _check_nan(call: Call, exact: Arguments, found: Results) -> None:
    """A NaN of the input reaches every output that depends on it."""
    if not any(isinstance(value, Tensor) and value.isnan().any() for value in exact.values()):
        return
    # Ordinary numbers around the NaN: what is NaN then is so by propagation.
    calm = {
        name: torch.where(value.isnan(), value, 0.5) if value.is_floating_point() else value
        for name, value in exact.items()
    }
    for value, expected in zip(found.outputs, call.eager(calm), strict=True):
        assert value.isnan()[expected.isnan()].all(), f"a NaN is lost\n{value}\n{expected}"
