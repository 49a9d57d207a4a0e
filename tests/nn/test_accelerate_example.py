"""The example trains as it would without the line that it adds."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from deepgen_fast.nn.accelerate.classes import Accelerated

EXAMPLE = Path(__file__).parents[2] / "examples" / "accelerate_dcgan.py"
SMALL = ["--dataset", "fake", "--batch-size", "8", "--ngf", "4", "--ndf", "4", "--steps", "3"]


def test_losses_with_and_without_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLE))["main"]
    networks = {}
    for extra in ((), ("--plain",)):
        networks[extra] = main([*SMALL, *extra])
    first, second = networks.values()
    assert isinstance(first[0].main, Accelerated) and not isinstance(second[0].main, Accelerated)
    for ours, theirs in zip(first, second, strict=True):
        for (key, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            # Adam's first steps are the gradient's sign: where it is rounding, a weight may go the other way.
            torch.testing.assert_close(a, b, rtol=1e-2, atol=2e-3, msg=key)
    losses = [[float(line.split(key)[1].split()[0]) for key in ("Loss_D: ", "Loss_G: ")] for line in _lines(capsys)]
    assert len(losses) == 2 and losses[0] == pytest.approx(losses[1], abs=2e-3)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if "Loss_D" in line]


def test_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE))["main"]([*SMALL, "--explain"])
    said = capsys.readouterr().out
    assert said.count("conv_transpose_bn_act") == 5 and said.count("conv_bn_act") == 5
