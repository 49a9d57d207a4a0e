"""Several processes of the command line, as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Two processes of ``python ARGUMENTS``."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)


def test_torchrun_starts_processes_of_the_command_line(tmp_path):
    """`torchrun -m deepgen_fast.cli`: one run directory, written by process 0."""
    result = torchrun(
        *("-m", "deepgen_fast.cli", "train", "dcgan", "--data", "digits", "--out", str(tmp_path / "run")),
        *("--set", "data.image_size=16", "--width", "2", "--epochs", "1", "--batch-size", "256", "--device", "cpu"),
        *("--set", "trainer.tensorboard=false"),
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("done: 1 epochs") == 1
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def test_the_group_ends_before_python_does(tmp_path):
    """Or gloo's threads abort the process now and then, when they let go of a tensor while Python is shut down."""
    script = tmp_path / "script.py"
    script.write_text(
        "import atexit, os, pathlib, weakref\n"
        "import torch\n"
        "import torch.distributed as dist\n"
        "from deepgen_fast.training import join_processes\n"
        # A file each: the processes share their output, and lines of two can mix. What is registered first runs last.
        f"said = pathlib.Path({str(tmp_path)!r}, os.environ['RANK'])\n"
        "atexit.register(lambda: said.write_text(f'{dist.is_initialized()} {group()}'))\n"
        "processes = join_processes('cpu')\n"
        "processes.sum(torch.ones(3))\n"
        # torch's compiler and optimizers import it somewhere on the way.
        "import torch.distributed.nn.functional\n"
        "group = weakref.ref(dist.group.WORLD)\n"
        "assert group() is not None\n"
    )
    result = torchrun(str(script))
    assert result.returncode == 0, result.stderr
    assert [(tmp_path / rank).read_text() for rank in ("0", "1")] == ["False None", "False None"]
