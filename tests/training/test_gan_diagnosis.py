"""What is said of two players that stand badly, and when."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.metrics.diversity import diversity
from deepgen_fast.objectives import AdversarialObjective
from deepgen_fast.training import GANTrainer
from deepgen_fast.training.gan import diagnosis as gan_diagnosis
from deepgen_fast.training.gan.diagnosis import diagnose, remarks
from deepgen_fast.training.gan.figures import draw_balance

HEALTHY = {
    "discriminator_real_accuracy": 0.8,
    "discriminator_fake_accuracy": 0.75,
    "discriminator_loss": 1.1,
    "generator_loss": 1.2,
    "spread": 0.9,
    "distinctness": 0.8,
    "validation_discriminator_real_accuracy": 0.7,
}


def epochs(*changes: dict) -> list[dict]:
    return [
        {**HEALTHY, "epoch": index + 1, "step": 1000 * (index + 1), **change} for index, change in enumerate(changes)
    ]


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (
            {
                "discriminator_real_accuracy": 0.999,
                "discriminator_fake_accuracy": 0.998,
                "validation_discriminator_real_accuracy": 0.99,
                "generator_loss": 9.25,
            },
            "discriminator_wins",
            "epoch 3: the discriminator is winning: it tells 99.9% of real and 99.8% of generated examples right, so "
            "the generator learns little (its loss is 9.2)",
        ),
        (
            {"discriminator_fake_accuracy": 0.01},
            "generator_wins",
            "epoch 3: the discriminator is losing: it takes all but 1.0% of generated examples for real",
        ),
        (
            {"spread": 0.2, "distinctness": 0.1},
            "mode_collapse",
            "epoch 3: mode collapse: generated examples lie 0.20 times as far apart as real ones",
        ),
        (
            {"distinctness": 0.1},
            "copies",
            "epoch 3: mode collapse: the nearest of the other generated examples is 0.10 times as far",
        ),
        (
            {"validation_discriminator_real_accuracy": 0.3},
            "by_heart",
            "epoch 3: the discriminator knows the training data by heart: it takes 80.0% of them for real, but 30.0%",
        ),
    ],
)
def test_what_lasts_is_said_once_and_taken_back(change, name, words):
    records = epochs(change, change, change, change, {})
    assert [diagnose(records[:count]) for count in range(1, 6)] == [[], [], [name], [name], []]
    said = [remarks(records[:count]) for count in range(1, 6)]
    assert said[0] == said[1] == said[3] == []
    assert len(said[2]) == 1 and said[2][0].startswith(words)
    assert said[4] == [f"epoch 5: no longer so: {name.replace('_', ' ')}"]


def test_nothing_is_said_of_healthy_untrained_or_unmeasured_players():
    assert diagnose(epochs({}, {}, {}, {})) == []
    collapsed = epochs({"spread": 0.1}, {"spread": 0.1}, {"spread": 0.1})
    assert diagnose([{**record, "step": 100} for record in collapsed]) == []
    unmeasured = [{key: value for key, value in record.items() if key != "spread"} for record in collapsed]
    assert diagnose(unmeasured) == []
    # A logit of a critic decides nothing, so there is no accuracy to speak of.
    critic = [{key: value for key, value in record.items() if "accuracy" not in key} for record in epochs({}, {}, {})]
    assert diagnose(critic) == []


def test_a_collapsed_generator_is_told_in_training(build_gan, pictures, quiet, capsys, monkeypatch):
    monkeypatch.setattr(gan_diagnosis, "_EARLY", 5)

    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image = torch.nn.Parameter(torch.zeros(1, 1, 16, 16))

        def forward(self, z):
            return self.image.expand(len(z), -1, -1, -1).tanh() + 0 * z.sum()

    model = build_gan()
    model.generator = Constant()
    settings = {**quiet, "progress": "lines", "epochs": 6}
    GANTrainer(model, AdversarialObjective(), **settings).fit(pictures)
    said = [line for line in capsys.readouterr().err.splitlines() if "mode collapse" in line]
    # Three steps an epoch, nothing counted before step 5, then three epochs.
    assert said == [
        "epoch 4: mode collapse: generated examples lie 0.00 times as far apart as real ones. Look at samples/; lower "
        "trainer.learning_rate, raise trainer.discriminator_steps, or set objective.r1 (1 to 10)"
    ]


def test_diversity_of_points():
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(200, 3, generator=generator)
    same = diversity(torch.randn(200, 3, generator=generator), real)
    assert same.spread == pytest.approx(1, abs=0.1) and same.distinctness == pytest.approx(1, abs=0.15)
    half = diversity(0.5 * real, real)
    assert half.spread == pytest.approx(0.5) and half.distinctness == pytest.approx(0.5)
    copies = diversity(real[:5].repeat(40, 1), real)
    assert copies.spread > 0.5 and copies.distinctness == 0.0
    assert diversity(real[:1].expand(200, 3), real).spread == 0.0


def test_diversity_sees_small_distances_of_large_numbers():
    real = torch.tensor([[1e4, 0.0], [1e4 + 1e-2, 0.0]], dtype=torch.float64)
    assert diversity(real, real).spread == pytest.approx(1.0)
    with pytest.raises(ValueError, match="real: expected examples that differ"):
        diversity(real, real[:1].expand(2, 2))
    with pytest.raises(ValueError, match="real: expected at least 2 examples, got 1"):
        diversity(real[:1], real[:1])
    with pytest.raises(ValueError, match=r"generated: expected the shape of real, \[2, 2\], got \[1, 2\]"):
        diversity(real[:1], real)


def test_curves_are_drawn(tmp_path):
    from matplotlib.image import imread

    records = epochs({}, {"generator_loss": 3.0}, {})
    picture = imread(draw_balance(records, tmp_path / "figures" / "training.png"))
    assert min(picture.shape[:2]) > 400 and picture[..., :3].std() > 0.05
    # One epoch, and records without a generator's step, are drawn too.
    few = [{key: value for key, value in records[0].items() if key != "generator_loss"}]
    assert draw_balance(few, tmp_path / "few.png").exists()
