"""A full disk: one message, training's own errors, and nothing lost that had been written."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from deepgen_fast.objectives import ELBO
from deepgen_fast.training import CheckpointError, RunDirectory, VAETrainer
from deepgen_fast.training.report.tensorboard_log import TensorBoardLog
from deepgen_fast.training.state import checkpoint

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full_event_files(monkeypatch):
    """Every event file is on a full disk."""
    opened, plain = [], Path.open

    def open_full(self, mode="r", *arguments, **options):
        if "tfevents" in self.name:
            opened.append(self)
            return open("/dev/full", mode, *arguments, **options)
        return plain(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_full)
    return opened


def test_training_goes_on_without_tensorboard(build_vae, images, quiet, tmp_path, full_event_files, capfd):
    settings = {**quiet, "tensorboard": True, "progress": "lines", "epochs": 3, "log_every_steps": 1}
    threads = threading.active_count()
    trainer = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run")
    result = trainer.fit(images, images)
    assert len(full_event_files) == 1
    assert threading.active_count() == threads  # of which none has an error that nobody can catch
    assert result.reason == "completed"
    assert len(trainer.run_directory.read_metrics()) == 3
    told = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("epoch")]
    assert told == [
        f"TensorBoard files are no longer written, training goes on: [Errno {errno.ENOSPC}] No space left on device"
    ]


def test_an_event_file_that_fills_the_disk_is_closed(tmp_path, monkeypatch):
    warnings: list[str] = []
    log = TensorBoardLog(tmp_path, warnings.append)
    log.step(1.0, 1)

    def refuse(data):
        raise full()

    monkeypatch.setattr(log._records, "write", refuse)
    for step in range(2, 5):
        log.step(1.0, step)
    log.text("a", "b", 5)
    log.epoch({"epoch": 1, "step": 5, "train_loss": 1.0})
    log.close()
    assert len(warnings) == 1 and "No space left on device" in warnings[0]


def test_metrics_that_cannot_be_written_are_named(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.metrics_path = Path("/dev/full")
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        directory.append_metrics({"step": 1})


def test_a_config_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    from deepgen_fast.training.state.run_directory import replace_text

    (tmp_path / "config.toml").write_text("old")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(full()))
    with pytest.raises(OSError, match=r"No space left on device: .*config\.toml"):
        replace_text(tmp_path / "config.toml", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
    assert (tmp_path / "config.toml").read_text() == "old"


def test_the_error_that_ended_the_run_is_raised(build_vae, images, quiet, tmp_path, monkeypatch, capfd):
    """Held best weights that cannot be written either come as a message; a run that went on from it loses nothing."""

    class Failing(ELBO):
        def __call__(self, model, x, step=None, generator=None):
            if step == 12:  # the third epoch; the second was the best, and is held in memory
                monkeypatch.setattr(checkpoint, "save_file", lambda tensors, path: (_ for _ in ()).throw(full()))
                raise ArithmeticError("the step's own error")
            return super().__call__(model, x, step=step, generator=generator)

    settings = {**quiet, "progress": "lines", "epochs": 4, "learning_rate": 1e-2}
    trainer = VAETrainer(build_vae(), Failing(), **settings, run_directory=tmp_path / "run")
    with pytest.raises(ArithmeticError, match="the step's own error"):
        trainer.fit(images, images)
    assert "The best weights are lost: " in capfd.readouterr().err
    monkeypatch.undo()
    assert trainer.run_directory.checkpoints.latest().name == "step-00000005"
    rest = VAETrainer(build_vae(), ELBO(), **settings, run_directory=tmp_path / "run")
    result = rest.fit(images, images, resume_from="last")
    assert [record["epoch"] for record in rest.run_directory.read_metrics()] == [1, 2, 3, 4]
    assert rest.run_directory.checkpoints.best().name == f"best-{5 * result.best_epoch:08d}"


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_keeps_the_last(
    build_vae, images, quiet, tmp_path, monkeypatch
):
    save = checkpoint.save_file

    def refuse_later(tensors, path):
        if "step-00000010" in str(path):
            raise full()
        save(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", refuse_later)
    settings = {**quiet, "epochs": 3, "checkpoint_every": 1}
    trainer = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"step-00000010: could not be written: .*No space left"):
        trainer.fit(images, images)
    assert trainer.run_directory.checkpoints.latest().name == "step-00000005"
    assert not list((tmp_path / "run" / "checkpoints").glob(".writing-*"))
