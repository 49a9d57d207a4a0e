"""The ahead-of-time budget: compiled in a process without the interpreter, compared with budget.json."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

# Kernels that read whole tensors, and the cases whose columns or channels leave rows unaligned. The weight gradient in
# TF32 is another: the matrix instruction of sm_90 takes its operands transposed, number by number on the way in.
STREAMING = ("forward", "backward", "likelihood", "kl", "convolution", "weight_gradient", "channel_moments")
NARROW = ("unaligned", "few channels", "weight_gradient float32 64x")
FOLDER = Path(__file__).parent


def run_budget(*options: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(FOLDER.parents[1])
    command = [sys.executable, FOLDER / "budget.py", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_quick_cases_are_within_budget():
    done = run_budget("--quick")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_all_cases_are_within_budget():
    done = run_budget()
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_budget_itself_spills_nothing_and_reads_128_bits():
    budget = json.loads((FOLDER / "budget.json").read_text())
    assert len(budget) >= 40
    for case, kernels in budget.items():
        for kernel, figures in kernels.items():
            assert figures["spilled"] == 0, (case, kernel)
            if kernel.split()[1].startswith(STREAMING) and not any(word in case for word in NARROW):
                assert figures["loads_128_bit"] > 0, (case, kernel)


def test_a_regression_is_reported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(FOLDER)
    from budget import REGISTER_SLACK, regressions

    budget = json.loads((FOLDER / "budget.json").read_text())
    assert regressions(budget, budget) == []
    case, kernel = next((case, kernel) for case in budget for kernel in budget[case])
    for figure, change in (
        ("spilled", 8),
        ("registers", REGISTER_SLACK + 1),
        ("shared_bytes", 16),
        ("loads_narrow", 1),
        ("loads_128_bit", -1),
    ):
        worse = copy.deepcopy(budget)
        worse[case][kernel][figure] += change
        assert len(regressions(worse, budget)) == 1
    assert len(regressions({case: {}}, budget)) == 1
