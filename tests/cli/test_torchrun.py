"""Several processes of the command line, as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys


def test_torchrun_starts_processes_of_the_command_line(tmp_path):
    """`torchrun -m deepgen_fast.cli`: one run directory, written by process 0."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "deepgen_fast.cli", "train", "dcgan", "--data", "digits", "--out", str(tmp_path / "run")),
        *("--set", "data.image_size=16", "--width", "2", "--epochs", "1", "--batch-size", "256", "--device", "cpu"),
        *("--set", "trainer.tensorboard=false"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("done: 1 epochs") == 1
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1
