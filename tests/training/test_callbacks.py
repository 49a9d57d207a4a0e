"""What a user's callbacks are told, and that they change nothing."""

from __future__ import annotations

import pytest

from deepgen_fast.training import Callback, GANTrainer, VAETrainer


class Heard(Callback):
    def __init__(self):
        self.steps, self.records, self.checkpoints, self.results = [], [], [], []

    def on_step(self, step, loss):
        assert loss.dim() == 0 and not loss.requires_grad
        self.steps.append(step)

    def on_epoch(self, record):
        self.records.append(dict(record))

    def on_checkpoint(self, path):
        assert (path / "model.safetensors").exists()
        self.checkpoints.append(path.name)

    def on_end(self, result):
        self.results.append(result)


def test_everything_is_told_once_and_in_order(build_vae, images, quiet, tmp_path):
    heard = Heard()
    options = {**quiet, "epochs": 3, "checkpoint_seconds": 3600.0, "checkpoint_every": 2}
    trainer = VAETrainer(build_vae(), **options, run_directory=tmp_path / "run", callbacks=[heard])
    result = trainer.fit(images, images)
    assert heard.steps == list(range(1, result.steps + 1))
    assert heard.records == result.history and heard.records[0]["validation_loss"] > 0
    epoch = result.steps // 3
    assert [int(name.removeprefix("step-")) for name in heard.checkpoints] == [epoch, 2 * epoch, 3 * epoch]
    assert heard.results == [result] and result.reason == "completed"


def test_they_change_nothing(build_vae, images, quiet, tmp_path, same_run):
    for name, callbacks in (("with", [Callback(), Heard()]), ("without", [])):
        VAETrainer(build_vae(), **quiet, epochs=2, run_directory=tmp_path / name, callbacks=callbacks).fit(images)
    with_, without = (
        VAETrainer(build_vae(), **quiet, epochs=2, run_directory=tmp_path / name) for name in ("with", "without")
    )
    assert same_run(with_, without, ("latest",))


def test_of_a_gan(build_gan, pictures, quiet):
    heard = Heard()
    result = GANTrainer(build_gan(), **quiet, epochs=1, callbacks=[heard]).fit(pictures)
    assert len(heard.steps) == result.steps and heard.checkpoints == [] and heard.results == [result]


def test_an_exception_ends_the_run_and_the_best_is_kept(build_vae, images, quiet, tmp_path):
    class Stop(Callback):
        def on_epoch(self, record):
            if record["epoch"] == 2:
                raise RuntimeError("enough")

    trainer = VAETrainer(build_vae(), **quiet, epochs=4, run_directory=tmp_path / "run", callbacks=[Stop()])
    with pytest.raises(RuntimeError, match="enough"):
        trainer.fit(images, images)
    assert trainer.run_directory.checkpoints.find("best") is not None
