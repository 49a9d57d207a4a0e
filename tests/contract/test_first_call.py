"""Contract 4, compile: any operator may be the first thing that a process calls, inside one graph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from deepgen_fast import backends

HERE = Path(__file__).resolve().parent
OPERATORS = (
    "reparameterize_kl",
    "bernoulli_log_likelihood",
    "gaussian_log_likelihood",
    "negative_elbo",
    "minibatch_discrimination",
    "conv2d",
    "conv_transpose2d",
    "conv_bn_act",
    "conv_bn_act-running",
    "conv_bn_act-activation",
    "conv_transpose_bn_act",
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")


@cache
def _results(backend: str, compiler: str) -> dict[str, str]:
    root = HERE.parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    if backend == "triton":
        environment["TRITON_INTERPRET"] = "1"
    done = subprocess.run(
        [sys.executable, str(HERE / "first_call.py"), backend, compiler], capture_output=True, text=True, cwd=root,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        found.update(json.loads(line))
    assert set(found) == set(OPERATORS), done.stderr
    return found


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    ("backend", "compiler"), [("auto", "eager"), ("auto", "aot_eager"), ("reference", "eager"), ("triton", "eager")]
)
def test_first_call_in_a_process(backend: str, compiler: str, operator: str) -> None:
    """``torch.compile(fullgraph=True)``, then the same numbers as eager, with a backward and without."""
    if backend == "triton" and (reason := backends.unavailable("triton")):
        pytest.skip(reason)
    assert _results(backend, compiler)[operator] == "equal"
