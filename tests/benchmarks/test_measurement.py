"""What the figures rest on: the check before timing, the step, its memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.candidates import WrongResultError, backward, build, check, forward, timed_step
from benchmarks.cases import OPS, Work, cases
from benchmarks.memory import peak_bytes


def small_work(op: str) -> Work:
    return replace(cases(op)[0], shape=(4, 24)).setup()


@pytest.mark.parametrize("op", OPS)
def test_every_operator_passes_its_check(op: str) -> None:
    for case in {case.variant: case for case in cases(op)}.values():
        check(replace(case, shape=(4, 24)).setup())


@pytest.mark.parametrize("op", OPS)
def test_check_refuses_a_wrong_gradient(op: str) -> None:
    work = small_work(op)

    def off(*inputs: torch.Tensor, backend: str = "auto"):
        if backend == "reference":
            return work.fused(*inputs, backend=backend)
        return work.fused(inputs[0] + 1e-3 * (inputs[0] - inputs[0].detach()), *inputs[1:])

    with pytest.raises(WrongResultError, match="output or gradient"):
        check(replace(work, fused=off))


@pytest.mark.parametrize("op", OPS[1:])  # the noise of reparameterize_kl is its own
def test_eager_and_fused_compute_the_same(op: str) -> None:
    for case in {case.variant: case for case in cases(op)}.values():
        work = replace(case, shape=(4, 24)).setup()
        found = [
            (*outputs, *backward(outputs, work))
            for function in (build(work, "eager"), build(work, "deepgen_fast"))
            for outputs in [forward(function, work)]
        ]
        for eager, fused in zip(*found, strict=True):
            torch.testing.assert_close(fused, eager, rtol=1e-5, atol=1e-4)


def test_timed_step_gives_both_phases() -> None:
    work = small_work("negative_elbo")
    assert all(seconds > 0 for seconds in timed_step(work.eager, work))


def test_peak_memory_counts_what_the_step_makes() -> None:
    work = replace(small_work("bernoulli_log_likelihood"), eager=lambda logits, target: (logits * target).sum(1))
    # The product and its sum live at once forward; backward makes the gradient of the logits.
    assert 4 * 24 * 4 + 4 * 4 <= peak_bytes(work.eager, work) <= 3 * 4 * 24 * 4
