"""One process at a time trains in a run directory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from deepgen_fast.objectives import ELBO
from deepgen_fast.training import RunInUseError, VAETrainer
from deepgen_fast.training.state.run_lock import RunLock

HOLD = """
import sys
from pathlib import Path
from deepgen_fast.training.state.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def trainer(build_vae, quiet, directory, objective=None) -> VAETrainer:
    return VAETrainer(build_vae(), objective, **{**quiet, "epochs": 1}, run_directory=directory)


def test_a_second_process_is_refused_and_a_killed_one_is_not_waited_for(build_vae, images, quiet, tmp_path):
    directory = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            here = (
                f"run: process {holder.pid} on {socket.gethostname()} trains in this run directory: wait until it has"
            )
            with pytest.raises(RunInUseError, match=here):
                trainer(build_vae, quiet, directory).fit(images)
            assert sorted(path.name for path in directory.iterdir()) == [".lock", ".lock.json"]
            (directory / ".lock.json").write_text("[" * 10)  # nobody's word
            with pytest.raises(RunInUseError, match="run: another process trains in this run directory"):
                trainer(build_vae, quiet, directory).fit(images)
        finally:
            holder.kill()
            holder.wait()
    # The operating system has let go of it, whatever lies in the directory.
    assert (directory / ".lock.json").exists()
    assert trainer(build_vae, quiet, directory).fit(images).reason == "completed"
    assert not (directory / ".lock.json").exists()


def test_the_lock_is_held_while_training_and_let_go_of_after_it(build_vae, images, quiet, tmp_path):
    directory = tmp_path / "run"
    refusals: list[str] = []

    class Second(ELBO):
        def __call__(self, model, x, step=None, generator=None):
            if step == 2:
                with pytest.raises(RunInUseError) as caught:
                    trainer(build_vae, quiet, directory).fit(images, resume_from="last")
                refusals.append(str(caught.value))
            if step == 3:
                raise ArithmeticError
            return super().__call__(model, x, step=step, generator=generator)

    with pytest.raises(ArithmeticError):
        trainer(build_vae, quiet, directory, Second()).fit(images)
    assert len(refusals) == 1
    assert f"another trainer of this process ({os.getpid()} on" in refusals[0]
    assert trainer(build_vae, quiet, directory).fit(images).reason == "completed"
    assert trainer(build_vae, quiet, directory).fit(images, resume_from="last").reason == "completed"


def test_what_is_refused_lets_go_of_the_lock(build_vae, images, quiet, tmp_path):
    directory = tmp_path / "run"
    trainer(build_vae, quiet, directory).fit(images)
    with pytest.raises(FileExistsError, match="already holds a run"):
        trainer(build_vae, quiet, directory).fit(images)
    lock = RunLock(directory)
    lock.acquire()
    lock.release()
