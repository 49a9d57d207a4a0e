"""Training with each of Salimans' techniques: it moves as its formula says, resumes bit for bit, and runs in bf16."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from deepgen_fast import runs
from deepgen_fast.config import ConfigError
from deepgen_fast.models import dcgan, fully_connected_gan
from deepgen_fast.nn import ReferenceBatch
from deepgen_fast.objectives import AdversarialObjective
from deepgen_fast.runs import resume, train
from deepgen_fast.systems import systems
from deepgen_fast.systems.run_config import RunConfig
from deepgen_fast.training import CheckpointError, GANTrainer
from deepgen_fast.training.gan.historical_average import HistoricalAverage

VIRTUAL = {"norm": "virtual_batch", "discriminator_norm": "virtual_batch", "reference_size": 7}
TECHNIQUES = {
    "minibatch_discrimination": ({"minibatch_kernels": 6, "minibatch_kernel_dim": 3}, {}, {}),
    "feature_matching": ({}, {"feature_matching": True}, {}),
    "historical_averaging": ({}, {}, {"historical_averaging": 0.5}),
    "virtual_batch_norm": (VIRTUAL, {}, {}),
    "label_smoothing": ({}, {"label_smoothing": 0.1}, {}),
    "all": (
        {"norm": "virtual_batch", "minibatch_kernels": 5},
        {"feature_matching": True, "label_smoothing": 0.1, "r1": 0.1},
        {"historical_averaging": 0.1, "discriminator_steps": 2},
    ),
}


@pytest.mark.parametrize(
    ("technique", "precision"),
    [*((name, "float32") for name in TECHNIQUES), ("virtual_batch_norm", "bf16"), ("all", "bf16")],
)
def test_a_resumed_run_is_the_run_that_did_not_stop(
    technique, precision, build_gan, pictures, quiet, tmp_path, same_run
):
    model, objective, settings = TECHNIQUES[technique]
    settings = {**quiet, **settings, "precision": precision, "ema_decay": 0.9}

    def trainer(name: str, epochs: int) -> GANTrainer:
        game = AdversarialObjective(**objective)
        return GANTrainer(build_gan(**model), game, **settings, epochs=epochs, run_directory=tmp_path / name)

    whole = trainer("whole", 2)
    before = [parameter.detach().clone() for parameter in whole.model.parameters()]
    assert whole.fit(pictures, pictures).reason == "completed"
    moved = [not torch.equal(a, b) for a, b in zip(before, whole.model.parameters(), strict=True)]
    assert sum(moved) >= len(moved) - 1  # feature matching moves all but D's last layer in G's step; D's own moves it
    trainer("parts", 1).fit(pictures, pictures)
    rest = trainer("parts", 2)
    rest.fit(pictures, pictures, resume_from="last")
    assert same_run(whole, rest) == [1, 2]


def test_the_history_pulls_to_the_mean_of_what_was():
    theta = nn.Parameter(torch.tensor([1.0, -2.0]))
    history = HistoricalAverage([theta], 0.3)
    past = [theta.detach().clone()]
    for step in range(4):
        wanted = torch.tensor([0.5, float(step)])
        mean = torch.stack(past).mean(0)
        cost = (theta * wanted).sum() + 0.3 * (theta - mean).square().sum()
        (expected,) = torch.autograd.grad(cost, theta)
        theta.grad = wanted.clone()
        history.add_gradients()
        torch.testing.assert_close(theta.grad, expected)
        with torch.no_grad():
            theta -= 0.7 * theta.grad
        history.update()
        past.append(theta.detach().clone())
    other = HistoricalAverage([nn.Parameter(torch.zeros(2))], 0.3)
    other.load_state_dict(history.state_dict())
    for name, value in history.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_a_history_must_have_been_kept(build_gan, pictures, quiet, tmp_path):
    GANTrainer(build_gan(), **quiet, epochs=1, run_directory=tmp_path).fit(pictures)
    trainer = GANTrainer(build_gan(), **quiet, epochs=2, historical_averaging=1.0, run_directory=tmp_path)
    with pytest.raises(CheckpointError, match=r"generator_history\.0: expected .*, found nothing"):
        trainer.fit(pictures, resume_from="last")


def test_a_count_that_is_none_is_refused(build_gan, pictures, quiet, tmp_path):
    def trainer() -> GANTrainer:
        return GANTrainer(build_gan(), **quiet, epochs=1, historical_averaging=1.0, run_directory=tmp_path)

    trainer().fit(pictures)
    path = trainer().run_directory.checkpoints.latest()
    (path / "SHA256SUMS").unlink()
    tensors = load_file(path / "training.safetensors")
    tensors["discriminator_history.count"] = torch.tensor(-1)
    save_file(tensors, path / "training.safetensors")
    with pytest.raises(CheckpointError, match=r"discriminator_history\.count: expected at least 1, found -1"):
        trainer().fit(pictures, resume_from="last")


def test_histories_keep_both_players_near(build_gan, pictures, quiet):
    def distance(weight: float) -> tuple[float, ...]:
        model = build_gan()
        start = {name: value.detach().clone() for name, value in model.named_parameters()}
        GANTrainer(model, **quiet, epochs=4, learning_rate=5e-3, historical_averaging=weight).fit(pictures)
        return tuple(
            sum((v - start[n]).square().sum().item() for n, v in model.named_parameters() if n.startswith(player))
            for player in ("generator", "discriminator")
        )

    for near, free in zip(distance(10.0), distance(0.0), strict=True):
        assert near < 0.5 * free


def test_the_reference_batches_are_fixed_at_the_start(build_gan, pictures, quiet):
    model = build_gan(norm="virtual_batch", discriminator_norm="virtual_batch", reference_size=5)
    latents = model.generator.reference.clone()
    assert latents.abs().max() <= 1 and latents.std() > 0.3
    GANTrainer(model, **quiet, epochs=2).fit(pictures)
    assert torch.equal(model.generator.reference, latents)
    torch.testing.assert_close(model.discriminator.reference, pictures[torch.arange(5) * 50 // 5] * 2 - 1)
    z = model.draw_latent(4)
    alone = torch.cat([model.decode(z[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(model.decode(z), alone, rtol=1e-4, atol=1e-5)
    x = model.from_data(pictures[:4])
    alone = torch.cat([model.discriminate(x[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(model.discriminate(x), alone, rtol=1e-4, atol=1e-5)


def test_a_discriminator_without_its_reference_says_so(build_gan, pictures):
    model = build_gan(discriminator_norm="virtual_batch")
    with pytest.raises(RuntimeError, match="reference batch is not set"):
        model.discriminate(pictures)


def test_minibatch_discrimination_sees_a_collapsed_batch(build_gan, pictures):
    """Sums of similarities reach the logit, so a batch of one picture repeated is judged otherwise than the picture."""
    model = build_gan(minibatch_kernels=4, discriminator_norm="none")
    x = model.from_data(pictures[:6])
    torch.testing.assert_close(model.features(x)[:1], model.features(x[:1]), rtol=1e-4, atol=1e-5)
    collapsed = model.discriminate(x[:1].expand(6, -1, -1, -1))
    assert (collapsed - model.discriminate(x[:1])).abs().min() > 1e-3


def test_from_a_config(tmp_path):
    options = {
        "data.name": "ring", "model.output": "linear", "model.discriminator": "leaky_relu", "model.hidden_dim": 16,
        "model.units": 16, "model.dropout": 0.0, "model.minibatch_kernels": 8, "objective.feature_matching": True,
        "trainer.historical_averaging": 0.01, "trainer.epochs": 1, "trainer.batch_size": 512,
        "trainer.progress": "none", "trainer.device": "cpu", "trainer.tensorboard": False,
    }  # fmt: skip
    config = RunConfig.for_system("gan")().with_overrides(options)
    train(config, tmp_path / "run")
    resume(tmp_path / "run", epochs=2)
    samples = runs.open(tmp_path / "run").model.sample(5)
    assert samples.shape == (5, 2) and samples.isfinite().all()


def test_bad_options():
    for options, message in (
        ({"minibatch_kernels": -1}, "minibatch_kernels: expected at least 0, got -1"),
        ({"minibatch_kernels": 2, "minibatch_kernel_dim": 0}, "kernel_dim: expected at least 1, got 0"),
    ):
        for build, shape in ((dcgan, (1, 16, 16)), (fully_connected_gan, (2,))):
            with pytest.raises(ValueError, match=message):
                build(shape, **options)
    for options, message in (
        ({"norm": "instance"}, "norm: expected 'batch' or 'virtual_batch', got 'instance'"),
        ({"discriminator_norm": "layer"}, "discriminator_norm: expected 'batch', 'virtual_batch' or 'none'"),
        ({"norm": "virtual_batch", "reference_size": 1}, "reference_size: expected at least 2, got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            dcgan((1, 16, 16), **options)
    assert not isinstance(dcgan((1, 16, 16)).generator, ReferenceBatch)


@pytest.mark.parametrize("system", ["lapgan", "infogan"])
def test_feature_matching_without_a_layer_to_match_is_refused_at_once(system):
    config = RunConfig.for_system(system)().with_overrides({"objective.feature_matching": True})
    registered = systems()[system]
    with pytest.raises(ConfigError, match=r"objective\.feature_matching: .* feature_layer"):
        model = registered.build_model(config.model, (1, 32, 32))
        GANTrainer(model, registered.build_objective(config.objective))
