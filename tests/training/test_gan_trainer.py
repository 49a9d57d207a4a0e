from __future__ import annotations

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from deepgen_fast.config import ConfigError
from deepgen_fast.data import DataError
from deepgen_fast.models import dcgan, fully_connected_gan
from deepgen_fast.objectives import AdversarialObjective
from deepgen_fast.random import BatchNoise
from deepgen_fast.training import GANTrainer, NonFiniteLossError
from deepgen_fast.training.state.seeds import derive_seed


def by_hand(model, data, *, steps, k=1, fresh=False, batch_size=16, rate=2e-4, discriminator_rate=2e-4):
    """Algorithm 13.1 as people write it in PyTorch, on the layers of the blocks."""
    generator, discriminator = (
        nn.Sequential(*(layer for block in network for layer in nn.Sequential(*block)))
        for network in (model.generator, model.discriminator)
    )
    generating = torch.optim.Adam(generator.parameters(), lr=rate, betas=(0.5, 0.999))
    judging = torch.optim.Adam(discriminator.parameters(), lr=discriminator_rate, betas=(0.5, 0.999))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed(0, "order")))
    ones, zeros = torch.ones(batch_size), torch.zeros(batch_size)
    losses = []
    for step in range(steps):
        noise = BatchNoise(torch.Generator().manual_seed(derive_seed(0, "step", step)))

        def draw(noise=noise):
            return generator(model.draw_latent(batch_size, noise)[..., None, None])

        real = data[order[step * batch_size : (step + 1) * batch_size]] * 2 - 1
        fake = draw()
        real_loss = F.binary_cross_entropy_with_logits(discriminator(real).flatten(), ones)
        fake_loss = F.binary_cross_entropy_with_logits(discriminator(fake.detach()).flatten(), zeros)
        discriminator.zero_grad()
        (real_loss + fake_loss).backward()
        judging.step()
        losses.append((real_loss + fake_loss).item())
        if (step + 1) % k == 0:
            fake = draw() if fresh else fake
            generator.zero_grad()
            F.binary_cross_entropy_with_logits(discriminator(fake).flatten(), ones).backward()
            generating.step()
    return losses


@pytest.mark.parametrize(("k", "fresh"), [(1, False), (1, True), (2, False), (3, True)])
def test_steps_are_those_of_algorithm_13_1(build_gan, pictures, quiet, k, fresh):
    model, reference = build_gan(), build_gan()
    trainer = GANTrainer(
        model,
        **quiet,
        epochs=1,
        discriminator_steps=k,
        generator_noise="fresh" if fresh else "reuse",
        discriminator_learning_rate=4e-4,
    )
    record = trainer.fit(pictures).history[0]
    losses = by_hand(reference, pictures, steps=3, k=k, fresh=fresh, discriminator_rate=4e-4)
    assert record["discriminator_loss"] == pytest.approx(sum(losses) / 3, rel=1e-4)
    assert ("generator_loss" in record) is (k <= 3)
    initial = build_gan()
    for (name, trained), expected, before in zip(
        model.named_parameters(), reference.parameters(), initial.parameters(), strict=True
    ):
        # Adam's first steps are the gradient's sign: where it is rounding, a weight may go the other way.
        moved, wanted = trained - before, expected - before
        assert torch.linalg.vector_norm(moved - wanted) < 0.05 * torch.linalg.vector_norm(wanted) + 1e-9, name
    statistics = [(name, b) for name, b in model.named_buffers() if "running" in name]
    for (name, buffer), expected in zip(
        statistics, (b for n, b in reference.named_buffers() if "running" in n), strict=True
    ):
        torch.testing.assert_close(buffer, expected, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_generators_step_makes_no_gradients_for_the_discriminator(build_gan, pictures, quiet, precision):
    made = {"discriminator": 0, "generator": 0}

    class Watching(AdversarialObjective):
        def discriminator_loss(self, model, *arguments, **options):
            if not any(made.values()):
                for player in made:
                    weight = next(getattr(model, player).parameters())
                    weight.register_hook(lambda gradient, player=player: made.update({player: made[player] + 1}))
                made["generator"] = made["discriminator"] = 0
            return super().discriminator_loss(model, *arguments, **options)

    model = build_gan()
    trainer = GANTrainer(model, Watching(), **quiet, epochs=1, precision=precision)
    assert trainer.fit(pictures).steps == 3
    assert made == {"discriminator": 3, "generator": 3}
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_frozen_weights_stay_frozen(build_gan, pictures, quiet):
    model = build_gan()
    frozen = model.discriminator[0][0].weight.requires_grad_(False)
    before = frozen.clone()
    GANTrainer(model, **quiet, epochs=1).fit(pictures)
    assert torch.equal(frozen, before) and not frozen.requires_grad


def test_one_pass_of_the_generator_serves_both(build_gan, pictures, quiet):
    counts = {}
    for noise in ("reuse", "fresh"):
        model = build_gan()
        calls = []
        model.generator.register_forward_hook(lambda *_, calls=calls: calls.append(torch.is_grad_enabled()))
        GANTrainer(model, **quiet, epochs=1, generator_noise=noise, discriminator_steps=3, validate_every=9).fit(
            pictures
        )
        counts[noise] = [bool(grad) for grad in calls[:4]]
    # Two steps without a graph, then the third, whose examples the generator learns from.
    assert counts["reuse"][:3] == [False, False, True]
    assert counts["fresh"] == [False, False, False, True]


def test_the_record_of_an_epoch(build_gan, pictures, quiet):
    trainer = GANTrainer(build_gan(), AdversarialObjective(r1=1.0), **quiet, epochs=2, schedule="cosine")
    result = trainer.fit(pictures[:34], pictures[34:])
    first, last = result.history
    assert (first["epoch"], first["step"], last["step"], result.steps) == (1, 2, 4, 4)
    for record in result.history:
        for name in ("real", "fake", "real_accuracy", "fake_accuracy"):
            assert 0 <= record[f"discriminator_{name}"] <= 1
            assert 0 <= record[f"validation_discriminator_{name}"] <= 1
        assert record["discriminator_r1"] > 0 and record["generator_loss"] > 0
        assert record["spread"] > 0 and record["distinctness"] > 0
    assert result.best_epoch is None
    assert last["learning_rate"] < first["learning_rate"] < 2e-4


def test_validation_judges_as_training_does_and_leaves_no_trace(build_gan, pictures, quiet):
    plain, watched = build_gan(), build_gan()
    GANTrainer(plain, **quiet, epochs=2, validate_every=9).fit(pictures[:34])
    GANTrainer(watched, **quiet, epochs=2).fit(pictures[:34], pictures[34:])
    for (name, first), second in zip(plain.state_dict().items(), watched.state_dict().values(), strict=True):
        assert torch.equal(first, second), name
    assert all(module.training for module in watched.modules())


def test_the_seed_decides_a_run(build_gan, pictures, quiet):
    losses = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(losses))  # of no matter
        losses.append(GANTrainer(build_gan(), **quiet, epochs=1, seed=seed).fit(pictures).history[0]["generator_loss"])
    assert losses[0] == losses[1] != losses[2]


def test_a_dataset_trains_as_a_tensor_does(build_gan, pictures, quiet):
    losses = [
        GANTrainer(build_gan(), **quiet, epochs=2).fit(data).history[-1]["generator_loss"]
        for data in (pictures, TensorDataset(pictures), (pictures * 255).round().to(torch.uint8).float() / 255)
    ]
    assert losses[0] == losses[1]
    assert losses[2] == pytest.approx(losses[0], rel=0.05)


def test_blobs_are_learned(quiet, pictures):
    """Some hundred steps: pictures about as bright as the data, bright here and dark there, not one and the same."""
    torch.manual_seed(0)
    model = dcgan((1, 16, 16), width=8, latent_dim=8)
    # With R1 the game settles; without, where it stands after so many steps is chance (threads change the rounding).
    objective = AdversarialObjective(r1=1.0)
    trainer = GANTrainer(model, objective, **quiet, epochs=120, ema_decay=0.9, learning_rate=1e-3, validate_every=120)
    before = model.eval().sample(50, torch.Generator().manual_seed(1))
    result = trainer.fit(pictures)
    with trainer.evaluated_model():
        made = model.sample(50, torch.Generator().manual_seed(1))
    assert abs(before.mean() - pictures.mean()) > 0.3 > 3 * abs(made.mean() - pictures.mean())
    assert made.amax((1, 2, 3)).mean() > 0.7 and made.amin((1, 2, 3)).mean() < 0.1
    assert result.history[-1]["spread"] > 0.5


@pytest.mark.parametrize(
    "objective",
    [
        AdversarialObjective("saturating"),
        AdversarialObjective("label_swapped", label_smoothing=0.1),
        AdversarialObjective("algorithm_13_1"),
        AdversarialObjective("hinge", r2=0.1),
        AdversarialObjective("least_squares", r1=1.0, penalty_every=2),
        AdversarialObjective("wasserstein", gradient_penalty=10.0),
    ],
    ids=lambda objective: objective.loss,
)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_every_objective_trains(build_gan, pictures, quiet, objective, precision):
    norm = "none" if objective.gradient_penalty else "batch"
    model = build_gan(discriminator_norm=norm)
    before = copy.deepcopy(model.state_dict())
    record = GANTrainer(model, objective, **quiet, epochs=2, precision=precision, gradient_clip=1.0).fit(pictures)
    after = model.state_dict()
    assert not torch.equal(after["generator.0.0.weight"], before["generator.0.0.weight"])
    assert ("discriminator_real_accuracy" in record.history[-1]) is (objective.loss != "wasserstein")
    assert all(torch.isfinite(value).all() for value in after.values())


def test_bf16_is_near_float32(build_gan, pictures, quiet):
    losses = [
        GANTrainer(build_gan(), **quiet, epochs=1, precision=precision).fit(pictures).history[0]
        for precision in ("float32", "bf16")
    ]
    for name in ("discriminator_loss", "generator_loss"):
        assert losses[1][name] == pytest.approx(losses[0][name], rel=0.05)
        assert losses[1][name] != losses[0][name]


def test_clipping_bounds_each_players_gradient(build_gan, pictures, quiet):
    trainer = GANTrainer(build_gan(), **quiet, epochs=1, gradient_clip=1e-3)
    trainer.fit(pictures)
    for player in (trainer.generator, trainer.discriminator):
        squared = sum(float(parameter.grad.square().sum()) for parameter in player.parameters)
        assert squared**0.5 == pytest.approx(1e-3, rel=1e-3)


def test_the_average_follows_the_generator_with_its_statistics(build_gan, pictures, quiet):
    trainer = GANTrainer(build_gan(), **quiet, epochs=2, ema_decay=0.5)
    trainer.fit(pictures)
    averages = trainer.ema.state_dict()
    state = trainer.model.state_dict()
    assert set(averages) == {name for name in state if name.startswith("generator.") and "num_batches" not in name}
    assert any("running_mean" in name for name in averages)
    for name, average in averages.items():
        assert not torch.equal(average, state[name]), name
    with trainer.evaluated_model() as model:
        for name, average in averages.items():
            assert torch.equal(model.state_dict()[name], average)
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, state[name])


def test_metrics_choose_the_best_and_stop_early(build_gan, pictures, quiet, tmp_path):
    distances = iter([5.0, 3.0, 4.0, 4.5, 6.0, 7.0])
    seen = []

    def metrics(model):
        seen.append((model.training, torch.is_grad_enabled()))
        return {"distance": next(distances)}

    settings = {**quiet, "epochs": 20, "monitor": "distance", "early_stopping": 2, "ema_decay": 0.9}
    trainer = GANTrainer(build_gan(), metrics=metrics, run_directory=tmp_path / "run", **settings)
    result = trainer.fit(pictures)
    assert (result.reason, result.epochs, result.best_epoch, result.best_validation_loss) == (
        "early_stopping",
        4,
        2,
        3.0,
    )
    assert trainer.run_directory.checkpoints.best().name == "best-00000006"
    assert set(seen) == {(False, False)}
    with pytest.raises(ConfigError, match=r"trainer\.monitor: no metric 'fid'; there are spread, distinctness"):
        GANTrainer(build_gan(), **quiet, monitor="fid").fit(pictures)
    with pytest.raises(ConfigError, match=r"trainer\.early_stopping: needs trainer\.monitor"):
        GANTrainer(build_gan(), **quiet, early_stopping=2).fit(pictures, pictures)


def test_a_run_directory(build_gan, pictures, quiet, tmp_path):
    settings = {**quiet, "tensorboard": True, "epochs": 4, "sample_every": 2, "log_every_steps": 1, "ema_decay": 0.9}
    result = GANTrainer(build_gan(), **settings, run_directory=tmp_path / "run").fit(pictures, pictures)
    directory = result.run_directory
    assert sorted(path.name for path in directory.iterdir()) == [
        ".lock", "checkpoints", "figures", "metrics.jsonl", "samples", "tensorboard", "trainer.toml",
    ]  # fmt: skip
    assert [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()] == result.history
    assert sorted(path.name for path in (directory / "samples").iterdir()) == ["samples-00002.png", "samples-00004.png"]
    with Image.open(directory / "samples" / "samples-00004.png") as picture:
        assert picture.size == (8 * 18 + 2, 8 * 18 + 2)
    with Image.open(directory / "figures" / "training.png") as picture:
        assert min(picture.size) > 400 and len(picture.convert("RGB").getcolors(1 << 24)) > 50
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory / "tensorboard"))
    events.Reload()
    assert {"discriminator/loss", "generator/loss", "validation/discriminator_loss", "run/spread", "step/loss"} <= set(
        events.Tags()["scalars"]
    )


def test_samples_are_of_the_same_latents_every_time(build_gan, pictures, quiet, tmp_path):
    model = build_gan()
    trainer = GANTrainer(model, **quiet, epochs=2, sample_every=1, learning_rate=1e-12, run_directory=tmp_path / "run")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0  # statistics that do not move, as the weights do not
    trainer.fit(pictures)
    first, second = (path.read_bytes() for path in sorted((tmp_path / "run" / "samples").iterdir()))
    assert first == second


class Spoiled(AdversarialObjective):
    """A loss of one player that stops being finite at a step."""

    def __init__(self, player: str, at: int) -> None:
        super().__init__()
        self.player = player
        self.at = at

    def _spoil(self, player, loss, step):
        return loss._replace(value=loss.value * float("nan")) if (player, step) == (self.player, self.at) else loss

    def discriminator_loss(self, *arguments, **options):
        return self._spoil("discriminator", super().discriminator_loss(*arguments, **options), options["step"])

    def generator_loss(self, *arguments, **options):
        return self._spoil("generator", super().generator_loss(*arguments, **options), options["step"])


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("every", [1, 50])
def test_a_loss_that_is_not_finite_stops_training(build_gan, pictures, quiet, tmp_path, player, every):
    model = build_gan()
    trainer = GANTrainer(
        model, Spoiled(player, 4), **quiet, epochs=4, finite_check_steps=every, run_directory=tmp_path / "run"
    )
    with pytest.raises(NonFiniteLossError, match="loss became nan at") as caught:
        trainer.fit(pictures)
    last = trainer.run_directory.checkpoints.latest()
    assert last.name == "step-00000003" and caught.value.checkpoint == last
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.zeros(20, 1, 8, 8), r"train: expected examples of shape \[1, 16, 16\]"),
        (torch.full((20, 1, 16, 16), 2.0), r"train: a generator that ends in tanh needs .*got 2 to 2"),
        (torch.zeros(20, 1, 16, 16) / 0, "values are NaN or infinite"),
        (torch.zeros(5, 1, 16, 16), "drop_last leaves no batch: 5 examples are fewer than batch_size 16"),
    ],
)
def test_wrong_data_is_refused_before_any_step(build_gan, quiet, data, message):
    with pytest.raises(DataError, match=message):
        GANTrainer(build_gan(), **quiet).fit(data)


def test_points_of_any_range_train(quiet):
    torch.manual_seed(0)
    model = fully_connected_gan((2,), 16, 4, "normal", "linear", discriminator="leaky_relu", units=16, dropout=0.0)
    points = 5 + torch.randn(64, 2)
    result = GANTrainer(model, **quiet, epochs=2).fit(points)
    assert result.history[-1]["spread"] > 0


def test_examples_that_are_all_the_same_have_no_diversity(build_gan, quiet):
    record = GANTrainer(build_gan(), **quiet, epochs=1).fit(torch.full((32, 1, 16, 16), 0.5)).history[0]
    assert "spread" not in record


def test_wrong_settings_are_named(build_gan):
    with pytest.raises(ConfigError, match="trainer: discriminator_steps: input should be greater than or equal to 1"):
        GANTrainer(build_gan(), discriminator_steps=0)
    with pytest.raises(ConfigError, match=r"trainer: adam_betas\.0: input should be less than 1, got 1\.0"):
        GANTrainer(build_gan(), adam_betas=(1.0, 0.9))
