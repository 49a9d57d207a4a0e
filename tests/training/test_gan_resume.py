"""A GAN's run that stops at any step and resumes is bit for bit the run that did not stop."""

from __future__ import annotations

import random
import signal

import pytest
import signals
import torch

from deepgen_fast.models import fully_connected_gan
from deepgen_fast.objectives import AdversarialObjective
from deepgen_fast.training import CheckpointError, GANTrainer

EVERYTHING = {"schedule": "cosine", "warmup_steps": 3, "gradient_clip": 1.0, "ema_decay": 0.9, "weight_decay": 0.01}


class Stopping(AdversarialObjective):
    """Sends a signal, or kills the process's run, in the middle of a step."""

    def __init__(self, at: int, number: int | None = signal.SIGTERM, **options) -> None:
        super().__init__(**options)
        self.at = at
        self.number = number

    def generator_loss(self, model, fake, **options):
        self._stop(options["step"])
        return super().generator_loss(model, fake, **options)

    def _stop(self, turn: int) -> None:
        if turn != self.at:
            return
        if self.number is None:
            raise Crash
        signals.send(self.number)


class Crash(BaseException):
    pass


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_an_interrupted_run_goes_on_from_the_very_step(build_gan, pictures, quiet, tmp_path, k, precision, same_run):
    def trainer(name: str, objective: AdversarialObjective) -> GANTrainer:
        settings = {**quiet, **EVERYTHING, "epochs": 4, "discriminator_steps": k, "precision": precision}
        return GANTrainer(build_gan(), objective, **settings, run_directory=tmp_path / name)

    options = {"r1": 1.0, "penalty_every": 2, "label_smoothing": 0.1}
    whole = trainer("whole", AdversarialObjective(**options))
    whole.fit(pictures, pictures)
    turns = 12 // k
    for turn in random.Random(k).sample(range(turns), 2):
        interrupted = trainer(f"parts{turn}", Stopping(turn, **options))
        result = interrupted.fit(pictures, pictures)
        assert (result.reason, result.steps) == ("interrupted", (turn + 1) * k)
        rest = trainer(f"parts{turn}", AdversarialObjective(**options))
        assert rest.fit(pictures, pictures, resume_from="last").reason == "completed"
        same_run(whole, rest)


def test_a_crash_between_checkpoints_loses_nothing(build_gan, pictures, quiet, tmp_path, same_run):
    """Killed in the middle of a cycle of K: the last checkpoint is from within another."""

    def trainer(name: str, objective: AdversarialObjective) -> GANTrainer:
        settings = {**quiet, **EVERYTHING, "epochs": 4, "discriminator_steps": 2, "checkpoint_seconds": 0}
        return GANTrainer(build_gan(), objective, **settings, run_directory=tmp_path / name)

    whole = trainer("whole", AdversarialObjective())
    whole.fit(pictures)
    crashed = trainer("parts", Stopping(3, number=None))
    with pytest.raises(Crash):
        crashed.fit(pictures)
    assert crashed.run_directory.checkpoints.latest().name == "step-00000007"
    rest = trainer("parts", AdversarialObjective())
    rest.fit(pictures, resume_from="last")
    same_run(whole, rest)


def test_dropout_and_lengthening(pictures, quiet, tmp_path, same_run):
    """The published MNIST model draws from torch's global generator, whose state must come back too."""

    def trainer(name: str, epochs: int) -> GANTrainer:
        torch.manual_seed(0)
        model = fully_connected_gan((1, 16, 16), hidden_dim=12, latent_dim=4, units=6, pieces=2)
        return GANTrainer(model, **quiet, epochs=epochs, ema_decay=0.9, run_directory=tmp_path / name)

    whole = trainer("whole", 4)
    whole.fit(pictures, pictures)
    trainer("parts", 2).fit(pictures, pictures)
    rest = trainer("parts", 4)
    result = rest.fit(pictures, pictures, resume_from="last")
    same_run(whole, rest)
    assert [record["epoch"] for record in result.history] == [1, 2, 3, 4]


def test_what_cannot_be_resumed_is_named(build_gan, pictures, quiet, tmp_path):
    def trainer(model=None, **options) -> GANTrainer:
        return GANTrainer(model or build_gan(), **{**quiet, "epochs": 1, **options}, run_directory=tmp_path / "run")

    trainer().fit(pictures)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        trainer(build_gan(width=2)).fit(pictures, resume_from="last")
    with pytest.raises(CheckpointError, match="kept no average of the weights, but ema_decay is set"):
        trainer(ema_decay=0.9).fit(pictures, resume_from="last")
