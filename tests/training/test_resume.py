"""A run that stops and resumes is bit for bit the run that did not stop."""

from __future__ import annotations

import signal

import pytest
import signals
from torch import nn
from torch.utils.data import TensorDataset

from deepgen_fast.objectives import ELBO
from deepgen_fast.training import CheckpointError, VAETrainer

EVERYTHING = {
    "schedule": "cosine",
    "warmup_steps": 3,
    "gradient_clip": 1.0,
    "ema_decay": 0.9,
    "weight_decay": 0.01,
    "early_stopping": 100,
}


class Interrupting(ELBO):
    """Sends a signal in the middle of a step."""

    def __init__(self, at: int, number: int = signal.SIGINT, **options) -> None:
        super().__init__(**options)
        self.at = at
        self.number = number

    def __call__(self, model, x, step=None, generator=None):
        if step == self.at:
            signals.send(self.number)
        return super().__call__(model, x, step=step, generator=generator)


def with_dropout(model):
    """Dropout draws from torch's global generator, whose state must come back too."""
    model.encoder.activation = nn.Sequential(nn.ReLU(), nn.Dropout(0.2))
    return model


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_two_epochs_and_two_more_are_four(build_vae, images, quiet, tmp_path, precision, same_run):
    def trainer(name: str, epochs: int) -> VAETrainer:
        settings = {**quiet, **EVERYTHING, "schedule": "none", "precision": precision, "epochs": epochs}
        objective = ELBO(warmup_steps=12, num_samples=2)
        return VAETrainer(
            with_dropout(build_vae()), objective, **settings, run_directory=tmp_path / name, binarize="stochastic"
        )

    whole = trainer("whole", 4)
    whole.fit(images, images)
    trainer("parts", 2).fit(images, images)
    rest = trainer("parts", 4)
    result = rest.fit(images, images, resume_from="last")
    assert same_run(whole, rest, ("latest", "best")) == [1, 2, 3, 4]
    assert [record["epoch"] for record in result.history] == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [0, 7, 9])
@pytest.mark.parametrize("kind", ["tensor", "dataset"])
def test_an_interrupted_run_goes_on_from_the_very_step(build_vae, images, quiet, tmp_path, at, number, kind, same_run):
    """Five steps an epoch: at the first, in the middle of an epoch, and at the last of one."""
    data = images if kind == "tensor" else TensorDataset(images)

    def trainer(name: str, objective: ELBO) -> VAETrainer:
        model = with_dropout(build_vae())
        return VAETrainer(model, objective, **quiet, **EVERYTHING, epochs=4, run_directory=tmp_path / name)

    whole = trainer("whole", ELBO(warmup_steps=12))
    whole.fit(data, images)
    handler = signal.getsignal(number)
    interrupted = trainer("parts", Interrupting(at, number, warmup_steps=12))
    result = interrupted.fit(data, images)
    assert signal.getsignal(number) is handler
    assert (result.reason, result.steps) == ("interrupted", at + 1)
    assert interrupted.run_directory.checkpoints.latest().name == f"step-{at + 1:08d}"
    rest = trainer("parts", ELBO(warmup_steps=12))
    assert rest.fit(data, images, resume_from="last").reason == "completed"
    assert same_run(whole, rest, ("latest", "best")) == [1, 2, 3, 4]


def test_a_second_signal_interrupts_at_once(build_vae, images, quiet, tmp_path):
    class Twice(ELBO):
        def __call__(self, model, x, step=None, generator=None):
            if step == 6:
                signals.send(signal.SIGINT)
                signals.send(signal.SIGINT)
            return super().__call__(model, x, step=step, generator=generator)

    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell started the tests in the background
    trainer = VAETrainer(build_vae(), Twice(), **quiet, epochs=4, run_directory=tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(images)
    assert trainer.run_directory.checkpoints.latest().name == "step-00000005"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_crash_loses_nothing_that_was_saved(build_vae, images, quiet, tmp_path, same_run):
    """Records of epochs after the checkpoint are written again, once, and the best is remembered."""

    class Crash(BaseException):
        pass

    class Crashing(ELBO):
        def __call__(self, model, x, step=None, generator=None):
            if step == 17:
                raise Crash
            return super().__call__(model, x, step=step, generator=generator)

    def trainer(name: str, objective: ELBO) -> VAETrainer:
        # No epoch after the first improves enough: the best must be remembered across the crash.
        settings = {**quiet, **EVERYTHING, "epochs": 4, "min_improvement": 1e9}
        return VAETrainer(build_vae(), objective, **settings, run_directory=tmp_path / name)

    whole = trainer("whole", ELBO())
    whole.fit(images, images)
    crashed = trainer("parts", Crashing())
    with pytest.raises(Crash):
        crashed.fit(images, images)
    directory = crashed.run_directory
    assert directory.checkpoints.latest().name == "step-00000005"
    assert [record["epoch"] for record in directory.read_metrics()] == [1, 2, 3]
    with directory.metrics_path.open("a") as file:
        file.write('{"epoch": 4, "st')  # the line that was being written
    rest = trainer("parts", ELBO())
    rest.fit(images, images, resume_from="last")
    assert same_run(whole, rest, ("latest", "best")) == [1, 2, 3, 4]


def test_checkpoints_follow_the_clock(build_vae, images, quiet, tmp_path):
    trainer = VAETrainer(
        build_vae(), **quiet, epochs=2, checkpoint_seconds=0, keep_checkpoints=99, run_directory=tmp_path / "run"
    )
    trainer.fit(images)
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == [f"step-{step:08d}" for step in range(1, 11)]


def test_what_cannot_be_resumed_is_named(build_vae, images, quiet, tmp_path):
    def trainer(model=None, **options) -> VAETrainer:
        settings = {**quiet, "epochs": 2, **options}
        return VAETrainer(model or build_vae(), **settings, run_directory=tmp_path / "run")

    with pytest.raises(CheckpointError, match="run: no checkpoint to resume from"):
        trainer().fit(images, resume_from="last")
    with pytest.raises(CheckpointError, match="no run directory was given"):
        VAETrainer(build_vae(), **quiet).fit(images, resume_from="last")
    trainer().fit(images, images)
    with pytest.raises(CheckpointError, match="the data or the batch size has changed"):
        trainer(epochs=4, batch_size=8).fit(images, resume_from="last")
    with pytest.raises(CheckpointError, match="does not fit the model"):
        trainer(build_vae(scale="std", variance="shared", likelihood="gaussian")).fit(images, resume_from="last")
    with pytest.raises(CheckpointError, match="kept no average of the weights, but ema_decay is set"):
        trainer(ema_decay=0.9).fit(images, resume_from="last")
    best = trainer().run_directory.checkpoints.best()
    with pytest.raises(CheckpointError, match="holds weights only; resume from a step-"):
        trainer().fit(images, resume_from=best)
