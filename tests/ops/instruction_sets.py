"""Runs a function of a test module once on each instruction set, in a process of its own, and compares the bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from contract.measure import assert_bitwise
from torch import Tensor

from deepgen_fast import backends

TESTS = Path(__file__).parents[1]
_SCRIPT = """
import importlib, sys, torch
module, function = sys.argv[1].split(":")
torch.set_num_threads(2)
torch.save(getattr(importlib.import_module(module), function)(), sys.argv[2])
"""


def outputs_on(instruction_set: str, function: str, file: Path) -> dict[str, Tensor]:
    """What ``module:function``, which gives tensors by name, computes on that set."""
    environment = {**os.environ, "DEEPGEN_FAST_ISA": instruction_set, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", _SCRIPT, function, str(file)]
    subprocess.run(command, env=environment, cwd=TESTS.parent, check=True)
    return torch.load(file, weights_only=True)


def assert_agree(function: str, folder: Path) -> None:
    """AVX2 and AVX-512 give the same bits."""
    if reason := backends.unavailable("cpu"):
        pytest.skip(reason)
    with open("/proc/cpuinfo") as info:
        if "avx512vl" not in info.read():
            pytest.skip("this processor has one instruction set only")
    one, two = (outputs_on(name, function, folder / f"{name}.pt") for name in ("avx2", "avx512"))
    assert one.keys() == two.keys() and one
    for name in one:
        assert_bitwise(one[name], two[name], name)
