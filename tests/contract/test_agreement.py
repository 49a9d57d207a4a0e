"""Contract 4, agreement: backends, instruction sets, thread counts and neighbors in the batch change nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from contract.cases import CASES, TYPICAL, Arguments, Case, Shape, convert, to_device
from contract.cases import case as case_named
from contract.measure import assert_bitwise, ulp
from deepgen_fast import backends

SHAPE = Shape(9, (70,))


def evaluate(case: Case, inputs: Arguments, backend: str) -> list[Tensor]:
    """Outputs and gradients, noise generated where the operator draws it, the same seed at every call."""
    leaves = {n: v.detach().requires_grad_() if n in case.differentiable else v for n, v in inputs.items()}
    leaves.pop("noise", None)
    torch.manual_seed(4)
    outputs = case.run(leaves, backend)
    torch.manual_seed(5)
    incoming = [torch.randn(output.shape).to(output) for output in outputs]
    return [*outputs, *torch.autograd.grad(outputs, [leaves[name] for name in case.differentiable], incoming)]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_thread_count(case: Case, count: int, threads: None) -> None:
    """One, two or three threads: the same bits, on short rows and on rows that threads share."""
    if reason := backends.unavailable("cpu"):
        pytest.skip(reason)
    for shape in (Shape(300, (70,)), Shape(2, (70000,))):
        if shape.batch == 2 and case not in TYPICAL:
            continue
        inputs = case.inputs(shape, torch.float32)
        results = []
        for number in (2, count):
            torch.set_num_threads(number)
            results.append([value.detach() for value in evaluate(case, inputs, "cpu")])
        for one, two in zip(*results, strict=True):
            assert_bitwise(one, two)


PER_EXAMPLE = tuple(
    c
    for c in CASES
    if c.op not in ("negative_elbo", "minibatch_discrimination")
    and c.options.get("reduction", "sample") in ("sample", "none")
)


def _rows_of(case: Case, inputs: Arguments, rows: slice) -> Arguments:
    """The same arguments for some examples of the batch."""
    kept = {}
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.dim() > 1:
            value = value[:, rows] if value.dim() == 3 else value[rows]
        kept[name] = value
    return kept


@pytest.mark.parametrize("case", PER_EXAMPLE, ids=str)
def test_neighbors_in_the_batch(case: Case, backend: str, device: str) -> None:
    """An example's values and gradients have the same bits alone, and in any batch."""
    if backend == "reference":
        pytest.skip("plain torch: its own vector tails round differently")
    inputs = to_device(case.inputs(SHAPE, torch.float32), device)
    names = [name for name in case.differentiable if inputs[name].dim() > 1]

    def run(given: Arguments) -> list[Tensor]:
        leaves = {n: v.detach().clone().requires_grad_() if n in names else v for n, v in given.items()}
        outputs = case.run(leaves, backend)
        grads = torch.autograd.grad(sum(output.sum() for output in outputs), [leaves[name] for name in names])
        return [value.detach() for value in (*outputs, *grads)]

    full = run(inputs)
    for rows in (slice(0, 1), slice(4, 5), slice(2, 9)):
        for some, every in zip(run(_rows_of(case, inputs, rows)), full, strict=True):
            leading = every.dim() - (some.dim() - 1) == 1 and every.shape[0] != SHAPE.batch
            assert_bitwise(some, (every[:, rows] if leading else every[rows]).contiguous())


@pytest.mark.parametrize("name", ["bernoulli_log_likelihood", "gaussian_log_likelihood", "reparameterize_kl"])
def test_elementwise_outputs_within_two_ulps(name: str, backend: str, device: str) -> None:
    """Per-element values within 2 ulp of the float64 reference; where terms cancel, of the largest term's ulp."""
    shape = (64, 129)
    mean, scale, third = torch.randn(3, *shape)
    terms: tuple[Tensor, ...]
    if name == "bernoulli_log_likelihood":
        arguments = {"logits": 3 * mean, "target": third.sigmoid()}
        terms = ((1 - third.sigmoid()) * 3 * mean, F.softplus(-3 * mean))
    elif name == "gaussian_log_likelihood":
        arguments = {"mean": mean, "target": third, "logvar": scale}
        terms = ((third - mean) ** 2 / scale.exp(), scale)
    else:
        arguments = {"mean": mean, "logvar": scale, "noise": third}
        terms = (mean**2, scale.exp(), scale, mean, third * (scale / 2).exp())
    case = Case(name, "", lambda shape, dtype: {}, (), options={})
    options = {"reduction": "none"}
    found = case.run({**to_device(arguments, device), **options}, backend)
    expected = case.run({**convert(arguments, torch.float64), **options}, "reference")
    for one, two in zip(found, expected, strict=True):
        largest = torch.stack([two.abs(), *(term.double().abs() for term in terms)]).amax(0)
        error = (one.cpu().double() - two).abs() / ulp(largest, torch.float32)
        assert error.max() <= 2, f"{error.max()} ulp at {int(error.argmax())}"


# ---- instruction sets ------------------------------------------------------------------------------------------------

_SCRIPT = """
import sys
import torch
from contract.test_agreement import instruction_set_outputs
torch.set_num_threads(2)
torch.save(instruction_set_outputs(), sys.argv[1])
"""


def instruction_set_outputs() -> dict[str, list[Tensor]]:
    """Outputs and gradients of every case: all dtypes, a vector's tail, rows over several tiles, extreme values."""
    found = {}
    for case in CASES:
        for shape in (Shape(5, (70,)), Shape(2, (4200,))):
            for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
                if dtype == torch.float64 and shape.batch == 2:
                    continue
                torch.manual_seed(8)
                inputs = case.inputs(shape, dtype)
                key = f"{case}-{shape}-{dtype}"
                found[key] = [value.detach() for value in evaluate(case, inputs, "cpu")]
    ramp = torch.cat([torch.linspace(-110, 110, 4001), torch.logspace(-45, 38, 999), -torch.logspace(-45, 38, 999)])
    extreme = ramp.view(1, -1)
    options = {"mean": extreme.flip(1), "target": torch.ones_like(extreme)}
    for name, given in (
        ("reparameterize_kl-logvar", {"mean", "logvar"}),
        ("reparameterize_kl-std", {"mean", "std"}),
        ("reparameterize_kl-pre_softplus", {"mean", "pre_softplus"}),
        ("bernoulli_log_likelihood-sample", {"logits", "target"}),
        ("gaussian_log_likelihood-mask", {"mean", "target", "logvar"}),
    ):
        inputs = {argument: options.get(argument, extreme) for argument in sorted(given)}
        found[f"extreme-{name}"] = [value.detach() for value in evaluate(case_named(name), inputs, "cpu")]
    return found


def _outputs_on(instruction_set: str, file: Path) -> dict[str, list[Tensor]]:
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "DEEPGEN_FAST_ISA": instruction_set, "PYTHONPATH": tests}
    subprocess.run([sys.executable, "-c", _SCRIPT, str(file)], env=environment, cwd=Path(tests).parent, check=True)
    return torch.load(file, weights_only=True)


def test_instruction_sets_agree_bitwise(tmp_path: Path) -> None:
    """AVX2 and AVX-512 give the same bits everywhere: values, gradients, noise, tails and extremes."""
    if reason := backends.unavailable("cpu"):
        pytest.skip(reason)
    with open("/proc/cpuinfo") as info:
        if "avx512vl" not in info.read():
            pytest.skip("this processor has one instruction set only")
    one, two = (_outputs_on(name, tmp_path / f"{name}.pt") for name in ("avx2", "avx512"))
    assert one.keys() == two.keys() and len(one) > 200
    for key in one:
        for first, second in zip(one[key], two[key], strict=True):
            assert_bitwise(first, second, key)
