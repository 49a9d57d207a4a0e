"""What each step and each epoch gets: learning rate, noise, order, weights; and what is measured, shown and kept when.

A run that resumes is compared elsewhere with the run that did not stop. These are the faults that both would share.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from deepgen_fast.objectives import ELBO, AdversarialObjective
from deepgen_fast.training import GANTrainer, VAETrainer, loop, read_checkpoint


class Watching(ELBO):
    """Keeps what the steps of training are given."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.batches: list[torch.Tensor] = []
        self.noise: list[torch.Tensor] = []
        self.training: list[bool] = []

    def __call__(self, model, x, step=None, generator=None):
        if step is not None:
            self.batches.append(x.clone())
            self.noise.append(torch.randn(4, generator=generator.clone_state()))
            self.training.append(model.training)
        return super().__call__(model, x, step=step, generator=generator)


class WatchingGAN(AdversarialObjective):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.batches: list[torch.Tensor] = []
        self.fakes: list[torch.Tensor] = []
        self.steps: list[tuple[str, int]] = []

    def discriminator_loss(self, model, real, fake, **options):
        if "step" in options:
            self.batches.append(real.clone())
            self.fakes.append(fake.detach().clone())
            self.steps.append(("discriminator", options["step"]))
        return super().discriminator_loss(model, real, fake, **options)

    def generator_loss(self, model, fake, **options):
        self.steps.append(("generator", options["step"]))
        return super().generator_loss(model, fake, **options)


def rates(trainer, *data) -> list[float]:
    """Learning rates of a run's steps."""
    seen, step = [], trainer.training_step

    def watched(batch, number, learning_rate):
        assert number == len(seen)
        seen.append(learning_rate)
        return step(batch, number, learning_rate)

    trainer.training_step = watched
    trainer.fit(*data)
    return seen


@pytest.mark.parametrize("kind", ["vae", "gan", "gan of one picture"])
def test_validation_draws_the_same_noise_at_every_call(build_vae, build_gan, images, pictures, quiet, kind):
    """Epochs then differ by the weights alone."""
    if kind == "vae":
        trainer = VAETrainer(build_vae(), **quiet, epochs=1, ema_decay=0.9, binarize="stochastic")
        trainer.fit(0.3 + 0.4 * images, 0.3 + 0.4 * images[:30])
    else:
        trainer = GANTrainer(build_gan(), **quiet, epochs=1)
        # Of pictures that are all the same no diversity is measured, which draws from the same generator before.
        trainer.fit(pictures if kind == "gan" else torch.full_like(pictures, 0.5), pictures[:30])
    first = trainer.validate()
    trainer._noise.manual_seed(3)
    if trainer.evaluation_order is not None:
        trainer.evaluation_order.manual_seed(3)
    assert trainer.validate() == first
    assert all(math.isfinite(value) for value in first.values())


@pytest.mark.parametrize("validated", [True, False])
def test_what_a_vae_shows_comes_from_the_same_noise_every_time(build_vae, images, quiet, tmp_path, validated):
    settings = {**quiet, "epochs": 2, "learning_rate": 1e-30, "sample_every": 1}
    trainer = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run")
    trainer.fit(images, images[:9] if validated else None)
    for name in ("samples", "reconstructions")[: 1 + validated]:
        first, second = sorted((tmp_path / "run" / "samples").glob(f"{name}-*"))
        assert first.read_bytes() == second.read_bytes(), name


def test_noise_and_order_are_new_at_every_step_and_epoch(build_vae, build_gan, images, pictures, quiet):
    objective = Watching()
    VAETrainer(build_vae(), objective, **{**quiet, "batch_size": 70}, epochs=3).fit(images)
    for which in (objective.noise, objective.batches):
        assert not any(torch.equal(which[i], which[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert all(torch.equal(batch.sum(0), objective.batches[0].sum(0)) for batch in objective.batches)

    game = WatchingGAN()
    GANTrainer(build_gan(), game, **{**quiet, "batch_size": 50}, epochs=3, learning_rate=1e-30).fit(pictures)
    for which in (game.fakes, game.batches):
        assert not any(torch.equal(which[i], which[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_every_step_gets_the_rate_of_the_schedule(build_vae, build_gan, images, pictures, quiet):
    """Five steps an epoch; the record shows that of the epoch's last step."""
    options = {"schedule": "step", "decay_epochs": 1, "decay_factor": 0.5, "learning_rate": 0.01}
    trainer = VAETrainer(build_vae(), **quiet, epochs=3, **options)
    assert rates(trainer, images) == [0.01] * 5 + [0.005] * 5 + [0.0025] * 5
    assert [record["learning_rate"] for record in trainer.history] == [0.01, 0.005, 0.0025]
    warm = VAETrainer(build_vae(), **quiet, epochs=1, warmup_steps=4, learning_rate=0.01)
    assert rates(warm, images) == [0.0025, 0.005, 0.0075, 0.01, 0.01]
    cosine = VAETrainer(build_vae(), **quiet, epochs=2, schedule="cosine", final_fraction=0.5, learning_rate=0.01)
    expected = [0.01 * (0.5 + 0.25 * (1 + math.cos(math.pi * step / 10))) for step in range(10)]
    assert rates(cosine, images) == pytest.approx(expected)

    game = GANTrainer(build_gan(), **quiet, epochs=2, discriminator_learning_rate=0.03, **options)
    assert rates(game, pictures) == [0.01] * 3 + [0.005] * 3
    optimizers = (game.generator.optimizer, game.discriminator.optimizer)
    assert [optimizer.param_groups[0]["lr"] for optimizer in optimizers] == pytest.approx([0.005, 0.015])


def test_weight_decay_is_decoupled(build_vae, images, quiet):
    model, reference = build_vae(), build_vae()
    VAETrainer(model, **quiet, epochs=1, weight_decay=0.1, learning_rate=0.01).fit(images[:16])
    VAETrainer(reference, **quiet, epochs=1, learning_rate=0.01).fit(images[:16])
    for plain, decayed, initial in zip(
        reference.parameters(), model.parameters(), build_vae().parameters(), strict=True
    ):
        torch.testing.assert_close(decayed, plain - 0.01 * 0.1 * initial, rtol=0, atol=1e-6)


def test_the_players_adam_has_its_betas(build_gan, quiet):
    trainer = GANTrainer(build_gan(), **quiet, adam_betas=(0.3, 0.9))
    for player in (trainer.generator, trainer.discriminator):
        assert player.optimizer.param_groups[0]["betas"] == (0.3, 0.9)


def test_the_average_takes_the_weights_after_each_step(build_vae, images, quiet):
    """With the decay of its step, from 0."""
    model = build_vae()
    trainer = VAETrainer(model, **quiet, epochs=1, ema_decay=0.9, learning_rate=0.01)
    expected = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    step = trainer.training_step

    def watched(batch, number, learning_rate):
        loss = step(batch, number, learning_rate)
        decay = min(0.9, (1 + number) / (10 + number))
        for name, parameter in model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
        return loss

    trainer.training_step = watched
    trainer.fit(images)
    for name, average in trainer.ema.state_dict().items():
        torch.testing.assert_close(average, expected[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("k", [1, 3])
def test_the_generator_is_averaged_by_its_turns(build_gan, pictures, quiet, k):
    """The decay rises with the steps of the generator, of which there are fewer than steps of the discriminator."""
    objective = WatchingGAN()
    trainer = GANTrainer(build_gan(), objective, **quiet, epochs=4, discriminator_steps=k, ema_decay=0.9)
    turns, update = [], trainer.ema.update

    def watched(turn):
        turns.append(turn)
        update(turn)

    trainer.ema.update = watched
    trainer.fit(pictures)
    assert turns == list(range(12 // k))
    assert [number for player, number in objective.steps if player == "generator"] == turns
    assert [number for player, number in objective.steps if player == "discriminator"] == list(range(12))


def test_a_model_handed_over_at_rest_is_trained_as_in_training(build_vae, build_gan, images, pictures, quiet):
    model = build_vae().eval()
    objective = Watching()
    VAETrainer(model, objective, **quiet, epochs=2).fit(images, images)
    assert objective.training == [True] * 10
    gan = build_gan().eval()
    before = gan.generator[0][1].running_mean.clone()
    GANTrainer(gan, **quiet, epochs=1, validate_every=9).fit(pictures)
    assert not torch.equal(gan.generator[0][1].running_mean, before)


def test_the_last_epoch_is_validated_and_shown_whatever_the_rhythm(build_vae, images, quiet, tmp_path):
    settings = {**quiet, "epochs": 5, "validate_every": 2, "sample_every": 3}
    result = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run").fit(images, images)
    assert [record["epoch"] for record in result.history if "validation_loss" in record] == [2, 4, 5]
    names = sorted(path.name for path in (tmp_path / "run" / "samples").glob("samples-*"))
    assert names == ["samples-00003.png", "samples-00005.png"]


def test_the_mean_of_an_epoch_is_over_what_was_seen(build_vae, images, quiet):
    """Weights that do not move, and next to no noise: 64 of 70 examples, all the same."""
    model = build_vae(scale="std")
    nn.init.constant_(model.encoder.scale.weight, 0.0)
    nn.init.constant_(model.encoder.scale.bias, -30.0)
    same = images[:1].expand(70, -1, -1, -1).contiguous()
    exact = ELBO()(model, same).value.item()
    for drop_last in (False, True):
        trainer = VAETrainer(model, **quiet, epochs=2, learning_rate=1e-30, drop_last=drop_last)
        for record in trainer.fit(same).history:
            assert record["train_loss"] == pytest.approx(exact, rel=1e-5)


def test_the_best_checkpoint_is_of_the_lowest_validation_loss(build_vae, images, quiet, tmp_path):
    """Held-out examples are the negatives of the others: what is learned is wrong there, and the loss rises again."""
    settings = {**quiet, "epochs": 12, "learning_rate": 0.03, "ema_decay": 0.5, "keep_checkpoints": 99}
    trainer = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run", checkpoint_every=1)
    result = trainer.fit(images, 1 - images[:30])
    losses = [record["validation_loss"] for record in result.history]
    train = [record["train_loss"] for record in result.history]
    best = losses.index(min(losses)) + 1
    assert best not in (train.index(min(train)) + 1, 12)
    assert (result.best_epoch, result.best_validation_loss) == (best, losses[best - 1])
    stored = trainer.run_directory.checkpoints.best()
    assert stored.name == f"best-{5 * best:08d}"
    # They are the weights, raw and averaged, of the end of that epoch.
    kept, then = read_checkpoint(stored), read_checkpoint(tmp_path / "run" / "checkpoints" / f"step-{5 * best:08d}")
    for group in ("model", "ema"):
        for name, value in getattr(then, group).items():
            assert torch.equal(getattr(kept, group)[name], value), name
    assert kept.state["best"] == {"loss": losses[best - 1], "epoch": best, "waited": 0}


def test_an_improvement_starts_the_wait_anew(build_vae, images, quiet):
    losses = iter([5.0, 6.0, 4.0, 4.5, 4.1, 4.2])
    trainer = VAETrainer(build_vae(), **quiet, epochs=20, early_stopping=3)
    trainer.validate = lambda: {"validation_loss": next(losses)}
    result = trainer.fit(images, images)
    assert (result.reason, result.epochs, result.best_epoch) == ("early_stopping", 6, 3)


def test_checkpoints_between_epochs_wait_for_the_clock(build_vae, images, quiet, tmp_path, monkeypatch):
    """Ten seconds a step, a checkpoint when 25 are over since the last; and one at the end of the first epoch."""
    clock = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    settings = {**quiet, "epochs": 2, "checkpoint_seconds": 25.0, "keep_checkpoints": 99}
    trainer = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run")
    step = trainer.training_step

    def slow(*arguments):
        clock[0] += 10.0
        return step(*arguments)

    trainer.training_step = slow
    trainer.fit(images)
    steps = [int(path.name[5:]) for path in trainer.run_directory.checkpoints.named("step")]
    assert steps == [3, 5, 8, 10]


class Crash(BaseException):
    pass


def test_what_came_after_the_checkpoint_is_gone_when_a_run_goes_on(build_vae, images, quiet, tmp_path):
    """Or a second crash would leave the checkpoints of a run that was never continued."""

    class Crashing(ELBO):
        def __call__(self, model, x, step=None, generator=None):
            if step == 6:
                raise Crash
            return super().__call__(model, x, step=step, generator=generator)

    settings = {**quiet, "epochs": 2, "checkpoint_seconds": 0, "keep_checkpoints": 99, "min_improvement": 1e-9}
    trainer = VAETrainer(build_vae(), **settings, run_directory=tmp_path / "run")
    trainer.fit(images, images)
    store = trainer.run_directory.checkpoints
    assert store.best().name == "best-00000010"
    again = VAETrainer(build_vae(), Crashing(), **settings, run_directory=tmp_path / "run")
    with pytest.raises(Crash):
        again.fit(images, images, resume_from=store.directory / "step-00000006")
    assert [path.name for path in store.named("step")] == [f"step-{step:08d}" for step in range(1, 7)]
    assert store.best() is None
    assert [record["epoch"] for record in trainer.run_directory.read_metrics()] == [1]


def test_steps_do_not_need_gradients_of_the_ones_before(build_vae, images, quiet):
    """Gradients are of one step: they do not add up."""
    whole, single = build_vae(), build_vae()
    for model, count in ((whole, 2), (single, 1)):
        trainer = VAETrainer(model, **{**quiet, "batch_size": 35}, epochs=1, learning_rate=1e-30)
        trainer.fit(images[: 35 * count])
    norms = [sum(float(p.grad.square().sum()) for p in model.parameters()) ** 0.5 for model in (whole, single)]
    assert 0.5 < norms[0] / norms[1] < 1.5


@pytest.mark.parametrize("kind", ["vae", "gan"])
def test_adam_sees_the_clipped_gradient(build_vae, build_gan, images, pictures, quiet, kind):
    """Adam takes no notice of a gradient's scale, but where it comes below its epsilon of 1e-8."""
    settings = {**quiet, "epochs": 1, "learning_rate": 0.01, "gradient_clip": 1e-11}
    build, kind_of, data = (build_vae, VAETrainer, images) if kind == "vae" else (build_gan, GANTrainer, pictures)
    model = build()
    kind_of(model, **settings).fit(data)
    for trained, initial in zip(model.parameters(), build().parameters(), strict=True):
        assert (trained - initial).abs().max() < 0.01 * 0.01
