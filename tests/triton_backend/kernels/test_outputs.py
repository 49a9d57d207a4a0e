"""Outputs of the Triton launchers are the caller's alone, as those of every backend."""

from __future__ import annotations

import pytest
import torch
from contract.cases import TYPICAL, Case
from contract.outputs import EVERY_CASE, check_outputs


@pytest.fixture(autouse=True)
def guarded_outputs() -> None:
    """Guards are views of a larger buffer: here memory comes from PyTorch itself."""


CONVOLUTIONS = tuple(case for case in EVERY_CASE if "-auto" in str(case))


@pytest.mark.parametrize("case", (*TYPICAL, *CONVOLUTIONS), ids=str)
def test_outputs_are_tensors_of_their_own(case: Case, device: torch.device) -> None:
    """Images channels-last, as the kernels write them."""
    check_outputs(case, "triton", device.type, last=case in CONVOLUTIONS)
