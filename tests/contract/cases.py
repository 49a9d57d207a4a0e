"""The case table: each operator described once, by its options, its inputs and the eager expression it replaces.

A test takes ``CASES`` (or those of one operator), makes the inputs of a case for a shape and a dtype, and compares
``case.run(inputs, backend)`` with ``case.eager(inputs)``. Whoever brings a backend needs nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

import deepgen_fast as dgf
from contract import eager

Arguments = dict[str, Any]  # of the public function, without backend

SCALE_FORMS = ("logvar", "std", "pre_softplus")
REDUCTIONS = ("sample", "none", "sum", "mean")


class Shape(NamedTuple):
    """``[batch, *event]``; a case with samples takes three of them."""

    batch: int
    event: tuple[int, ...]

    def __str__(self) -> str:
        return "x".join(map(str, (self.batch, *self.event)))


SMALL = (Shape(3, (1,)), Shape(7, (13,)), Shape(2, (3, 2, 5)))
SHAPES = (*SMALL, Shape(128, (784,)), Shape(64, (12288,)))
SAMPLES = 3


@dataclass(frozen=True, eq=False)
class Case:
    """One operator with one choice of options.

    ``make(shape, dtype)`` draws the keyword arguments from torch's default generator; ``differentiable`` names those
    that a gradient may be asked of.
    """

    op: str
    label: str
    make: Callable[[Shape, torch.dtype], Arguments]
    differentiable: tuple[str, ...]
    outputs: tuple[str, ...] = ("value",)
    options: Arguments = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.op}-{self.label}"

    def inputs(self, shape: Shape, dtype: torch.dtype) -> Arguments:
        return {**self.make(shape, dtype), **self.options}

    def run(self, inputs: Arguments, backend: str = "auto") -> tuple[Tensor, ...]:
        """The operator's outputs, always as a tuple."""
        found = getattr(dgf, self.op)(**inputs, backend=backend)
        return found if isinstance(found, tuple) else (found,)

    def eager(self, inputs: Arguments) -> tuple[Tensor, ...]:
        return getattr(eager, self.op)(**inputs)


def convert(inputs: Arguments, dtype: torch.dtype) -> Arguments:
    """The same numbers with every floating tensor in ``dtype``."""
    return {
        name: value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in inputs.items()
    }


def to_device(inputs: Arguments, device: str) -> Arguments:
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in inputs.items()}


def noise_of(backend: str, mean: Tensor, num_samples: int | None, seed: int) -> Tensor:
    """The noise that a backend generates after ``torch.manual_seed(seed)``: its z for mean 0 and std 1."""
    dtype = torch.float64 if mean.dtype == torch.float64 else torch.float32
    zero, one = torch.zeros_like(mean, dtype=dtype), torch.ones_like(mean, dtype=dtype)
    torch.manual_seed(seed)
    return dgf.reparameterize_kl(zero, std=one, num_samples=num_samples, backend=backend)[0]


# ---- reparameterize_kl -----------------------------------------------------------------------------------------------


def _scale(form: str, size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    values = torch.randn(size)
    return (values.abs() + 0.2 if form == "std" else values).to(dtype)


def _posterior(form: str, samples: int | None = None, prior: str = ""):
    def make(shape: Shape, dtype: torch.dtype) -> Arguments:
        size = (shape.batch, *shape.event)
        z_size = size if samples is None else (samples, *size)
        inputs: Arguments = {
            "mean": torch.randn(size).to(dtype),
            form: _scale(form, size, dtype),
            "noise": torch.randn(z_size).to(dtype),
        }
        if samples is not None:
            inputs["num_samples"] = samples
        if prior:
            prior_size = size if prior == "each" else shape.event
            inputs["prior_mean"] = torch.randn(prior_size).to(dtype)
            inputs["prior_logvar"] = torch.randn(prior_size).to(dtype)
        return inputs

    return make


def _posterior_cases() -> Iterator[Case]:
    def case(label: str, form: str, samples: int | None = None, prior: str = "", **options: Any) -> Case:
        given = ("mean", form, *(("prior_mean", "prior_logvar") if prior else ()))
        make = _posterior(form, samples, prior)
        return Case("reparameterize_kl", label, make, given, ("z", "kl"), options)

    for form in SCALE_FORMS:
        yield case(form, form)
        yield case(f"{form}-samples-prior", form, SAMPLES, "shared")
    for reduction in REDUCTIONS[1:]:
        yield case(reduction, "logvar", reduction=reduction)
    yield case("none-prior-of-each", "std", prior="each", reduction="none")


# ---- the likelihoods -------------------------------------------------------------------------------------------------


def _target(kind: str, size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    pixels = torch.rand(size)
    if kind in ("uint8", "bool"):
        return (pixels > 0.5).to(getattr(torch, kind))
    return pixels if kind == "float32" else pixels.to(dtype)


def _sizes(shape: Shape, samples: int | None) -> dict[str, tuple[int, ...]]:
    """The sizes that an operand of a likelihood may have."""
    each = (shape.batch, *shape.event)
    return {"event": shape.event, "batch": each, "full": each if samples is None else (samples, *each), "scalar": ()}


def _likelihood(output: str, samples: int | None, target: str, mask: str, logvar: str):
    def make(shape: Shape, dtype: torch.dtype) -> Arguments:
        sizes = _sizes(shape, samples)
        inputs: Arguments = {
            output: 2 * torch.randn(sizes["full"]).to(dtype),
            "target": _target(target, sizes["batch"], dtype),
        }
        if mask:
            inputs["mask"] = torch.rand(sizes[mask]) > 0.3
        if logvar:
            inputs["logvar"] = torch.randn(sizes[logvar]).to(dtype)
        return inputs

    return make


def _bernoulli_cases() -> Iterator[Case]:
    def case(label: str, samples: int | None = None, target: str = "same", mask: str = "", **options: Any) -> Case:
        given = ("logits", "target") if target == "same" else ("logits",)
        make = _likelihood("logits", samples, target, mask, "")
        return Case("bernoulli_log_likelihood", label, make, given, options=options)

    yield case("sample")
    yield case("uint8", target="uint8")
    yield case("bool-mask", target="bool", mask="batch")
    yield case("float32-target", target="float32")
    yield case("samples", SAMPLES)
    yield case("samples-mask-of-event", SAMPLES, "uint8", "event")
    yield case("samples-mask-of-all", SAMPLES, mask="full", reduction="none")
    for reduction in REDUCTIONS[1:]:
        yield case(reduction, reduction=reduction)


def _gaussian_cases() -> Iterator[Case]:
    def case(
        label: str, logvar: str = "", samples: int | None = None, target: str = "same", mask: str = "", **options: Any
    ) -> Case:
        given = ("mean", *(("target",) if target == "same" else ()), *(("logvar",) if logvar else ()))
        make = _likelihood("mean", samples, target, mask, logvar)
        return Case("gaussian_log_likelihood", label, make, given, options=options)

    yield case("unit")
    yield case("shared", "scalar")
    yield case("uint8-of-event", "event", target="uint8")
    yield case("mask", "batch", mask="batch")
    yield case("bool-shared-mask", "scalar", target="bool", mask="event")
    yield case("samples-shared", "scalar", SAMPLES)
    yield case("samples-of-all", "full", SAMPLES, mask="full")
    yield case("samples-of-batch", "batch", SAMPLES, target="float32")
    for reduction in REDUCTIONS[1:]:
        yield case(reduction, "batch", reduction=reduction)


# ---- negative_elbo ---------------------------------------------------------------------------------------------------

LATENTS = 5


def _loss(form: str, samples: int | None, likelihood: str, logvar: str, mask: str, prior: bool, target: str):
    def make(shape: Shape, dtype: torch.dtype) -> Arguments:
        sizes = _sizes(shape, samples)
        inputs: Arguments = {
            "decoder_output": 2 * torch.randn(sizes["full"]).to(dtype),
            "target": _target(target, sizes["batch"], dtype),
            "mean": torch.randn(shape.batch, LATENTS).to(dtype),
            form: _scale(form, (shape.batch, LATENTS), dtype),
            "likelihood": likelihood,
        }
        if logvar:
            inputs["likelihood_logvar"] = torch.randn(sizes[logvar]).to(dtype)
        if mask:
            inputs["mask"] = torch.rand(sizes[mask]) > 0.3
        if prior:
            inputs["prior_mean"], inputs["prior_logvar"] = torch.randn(2, LATENTS).to(dtype)
        return inputs

    return make


def _loss_cases() -> Iterator[Case]:
    def case(
        label: str, form: str = "logvar", samples: int | None = None, likelihood: str = "bernoulli", logvar: str = "",
        mask: str = "", prior: bool = False, target: str = "uint8", **options: Any,
    ) -> Case:  # fmt: skip
        given = ("decoder_output", "mean", form, *(("likelihood_logvar",) if logvar else ()))
        make = _loss(form, samples, likelihood, logvar, mask, prior, target)
        return Case("negative_elbo", label, make, given, ("loss",), options)

    yield case("bernoulli")
    yield case("bernoulli-sum-beta", "std", beta=0.4, reduction="sum")
    yield case("free-bits", "pre_softplus", free_bits=0.5, beta=2.0, target="float32")
    yield case("free-bits-sum-samples", "logvar", SAMPLES, free_bits=0.9, reduction="sum", mask="batch")
    yield case("sample-prior", prior=True, reduction="sample")
    yield case("gaussian-shared", likelihood="gaussian", logvar="scalar", target="same")
    yield case("gaussian-samples", "std", SAMPLES, "gaussian", "batch", mask="event", prior=True)
    yield case("gaussian-unit", likelihood="gaussian", reduction="sum")


# ---- minibatch_discrimination ----------------------------------------------------------------------------------------


def features_size(shape: Shape) -> tuple[int, int, int]:
    """``[batch, kernels, dims]`` with the columns of a shape: of an event of one dimension the largest divisor is dims
    that is at most 16, so that kernels and dims both come as one, as few and as many."""
    if len(shape.event) > 1:
        return shape.batch, math.prod(shape.event[:-1]), shape.event[-1]
    columns = math.prod(shape.event)
    dims = next(d for d in range(16, 0, -1) if columns % d == 0)
    return shape.batch, columns // dims, dims


def _minibatch_cases() -> Iterator[Case]:
    def make(shape: Shape, dtype: torch.dtype) -> Arguments:
        size = features_size(shape)
        return {"features": (torch.randn(size) / max(size[2], 1)).to(dtype)}  # distances of about 1

    for label, include_self in (("others", False), ("self", True)):
        yield Case("minibatch_discrimination", label, make, ("features",), options={"include_self": include_self})


CASES = (*_posterior_cases(), *_bernoulli_cases(), *_gaussian_cases(), *_loss_cases(), *_minibatch_cases())
OPS = tuple(dict.fromkeys(case.op for case in CASES))


def cases_of(*ops: str) -> tuple[Case, ...]:
    return tuple(case for case in CASES if case.op in ops)


def case(name: str) -> Case:
    """The case of that name, ``<op>-<label>``."""
    return next(case for case in CASES if str(case) == name)


# One of each operator that uses most of its options: for tests that are dear, or that options do not bear on.
TYPICAL = tuple(
    case(name)
    for name in (
        "reparameterize_kl-logvar-samples-prior",
        "reparameterize_kl-logvar",
        "bernoulli_log_likelihood-samples",
        "gaussian_log_likelihood-samples-shared",
        "gaussian_log_likelihood-mask",
        "negative_elbo-bernoulli",
        "negative_elbo-gaussian-shared",
        "minibatch_discrimination-others",
    )
)
