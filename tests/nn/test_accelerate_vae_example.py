"""The VAE example trains as it would without the line that it adds."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from deepgen_fast.nn.accelerate.classes import Accelerated

EXAMPLE = Path(__file__).parents[2] / "examples" / "accelerate_vae.py"
SMALL = ["--dataset", "fake", "--image-size", "16", "--batch-size", "8", "--hidden-dims", "4", "8", "16"]
SHORT = [*SMALL, "--latent-dim", "4", "--steps", "3", "--lr", "0.001"]


def test_losses_with_and_without_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLE))["main"]
    ours, theirs = (main([*SHORT, *extra]) for extra in ((), ("--plain",)))
    assert isinstance(ours.encoder[0], Accelerated) and not isinstance(theirs.encoder[0], Accelerated)
    for (key, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        # Adam's first steps are the gradient's sign: where it is rounding, a weight may go the other way.
        torch.testing.assert_close(a, b, rtol=1e-2, atol=7e-3, msg=key)
    lines = [line for line in capsys.readouterr().out.splitlines() if "loss:" in line]
    losses = [
        [float(line.split(key)[1].split()[0]) for key in ("loss: ", "reconstruction: ", "KL: ")] for line in lines
    ]
    assert len(losses) == 2 and losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE))["main"]([*SMALL, "--explain"])
    said = capsys.readouterr().out
    assert said.count("conv_transpose_bn_act") + said.count("ConvTranspose2d") >= 3
