from __future__ import annotations

import pytest
import torch

from deepgen_fast.objectives import ELBO
from deepgen_fast.training import NonFiniteLossError, VAETrainer, read_checkpoint


class Spoiled(ELBO):
    """A loss that stops being finite at a step; or, with ``gradient``, only its gradient does."""

    def __init__(self, at: int | None, value: float = float("nan"), gradient: bool = False) -> None:
        super().__init__()
        self.at = at
        self.spoil = value
        self.gradient = gradient

    def __call__(self, model, x, step=None, generator=None):
        loss = super().__call__(model, x, step=step, generator=generator)
        if step != self.at:
            return loss
        value = loss.value
        if self.gradient:
            value.register_hook(lambda gradient: gradient * self.spoil)
        else:
            value = value * self.spoil
        return loss._replace(value=value)


def finite(path) -> bool:
    return read_checkpoint(path).non_finite() == []


@pytest.mark.parametrize("spoil", [float("nan"), float("inf")])
def test_training_stops_before_the_weights_change(build_vae, images, quiet, tmp_path, spoil):
    model = build_vae()
    trainer = VAETrainer(model, Spoiled(8, spoil), **quiet, epochs=4, run_directory=tmp_path / "run")
    with pytest.raises(NonFiniteLossError) as caught:
        trainer.fit(images, images)
    error = caught.value
    last = trainer.run_directory.checkpoints.latest()
    assert last.name == "step-00000005"
    assert finite(last)
    assert (error.step, error.epoch, error.learning_rate, error.checkpoint) == (8, 2, 1e-3, last)
    assert str(error).startswith(f"loss became {spoil} at step 8 (epoch 2, learning rate 0.001). ")
    assert f"The last good checkpoint is kept: {last}" in str(error)
    assert all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())
    assert finite(trainer.run_directory.checkpoints.best())


def test_before_the_first_checkpoint(build_vae, images, quiet, tmp_path):
    trainer = VAETrainer(build_vae(), Spoiled(0), **quiet, run_directory=tmp_path / "run")
    with pytest.raises(NonFiniteLossError, match="No checkpoint had been written yet") as caught:
        trainer.fit(images)
    assert caught.value.checkpoint is None


@pytest.mark.parametrize(("at", "gradient"), [(7, False), (9, False), (9, True), (19, True)])
def test_rare_checks_never_let_spoiled_weights_be_saved(build_vae, images, quiet, tmp_path, at, gradient):
    """Looking only every 50 steps, as on a GPU: the end of the epoch and the checkpoint itself still look."""
    trainer = VAETrainer(
        build_vae(),
        Spoiled(at, gradient=gradient),
        **quiet,
        epochs=4,
        finite_check_steps=50,
        checkpoint_every=1,
        run_directory=tmp_path / "run",
    )
    with pytest.raises(NonFiniteLossError, match="at or before step"):
        trainer.fit(images)
    last = trainer.run_directory.checkpoints.latest()
    assert int(last.name.split("-")[1]) <= at
    assert finite(last)


def test_rare_checks_look_at_the_end_of_every_epoch(build_vae, images, quiet):
    """Without a run directory no checkpoint looks."""
    trainer = VAETrainer(build_vae(), Spoiled(2), **quiet, epochs=4, finite_check_steps=50)
    with pytest.raises(NonFiniteLossError, match="loss became nan at or before step 4 "):
        trainer.fit(images)


def test_the_run_goes_on_from_the_last_good_checkpoint(build_vae, images, quiet, tmp_path):
    settings = {**quiet, "epochs": 3, "run_directory": tmp_path / "run"}
    with pytest.raises(NonFiniteLossError):
        VAETrainer(build_vae(), Spoiled(8), **settings).fit(images)
    assert VAETrainer(build_vae(), **settings).fit(images, resume_from="last").reason == "completed"


def test_a_non_finite_validation_loss_stops_too(build_vae, images, quiet):
    class SpoiledValidation(ELBO):
        def for_validation(self):
            return Spoiled(at=None)

    with pytest.raises(NonFiniteLossError, match="validation loss became nan at step 4"):
        VAETrainer(build_vae(), SpoiledValidation(), **quiet, epochs=2).fit(images, images)
