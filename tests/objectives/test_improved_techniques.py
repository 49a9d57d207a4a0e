"""Salimans et al. 2016 by its formulas: feature matching, and the K + 1 classes of a semi-supervised GAN."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepgen_fast.models import GAN, dcgan, fully_connected_gan
from deepgen_fast.models.semi_supervised_gan import SemiSupervisedGAN
from deepgen_fast.objectives import AdversarialObjective, SemiSupervisedObjective, feature_distance, realness


def test_feature_matching_is_the_distance_of_the_means():
    model = fully_connected_gan((2,), 5, 3, units=7, discriminator="leaky_relu", dropout=0.0, output="linear").double()
    latent, real = torch.randn(6, 3, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    fake = model.generate(latent)
    loss = AdversarialObjective(feature_matching=True).generator_loss(model, fake, real=real)
    layers = list(model.discriminator)
    first, second = (
        layers[3:5][1](layers[3:5][0](layers[1:3][1](layers[1:3][0](x)))).mean(0) for x in (real, fake)
    )  # fmt: skip
    torch.testing.assert_close(loss.value, ((first - second) ** 2).sum())
    torch.testing.assert_close(loss.fake_logits, model.discriminate(fake).detach())
    weight = model.generator[0].weight
    (ours,) = torch.autograd.grad(loss.value, weight, retain_graph=True)
    (theirs,) = torch.autograd.grad(((first.detach() - second) ** 2).sum(), weight)
    torch.testing.assert_close(ours, theirs)


def test_features_are_those_under_the_last_layer():
    x = torch.rand(4, 1, 16, 16) * 2 - 1
    for kernels in (0, 3):
        model = dcgan((1, 16, 16), width=2, latent_dim=3, minibatch_kernels=kernels)
        features = model.features(x)
        assert features.shape == (4, 4 * 4 * 4)
        blocks = list(model.discriminator)[:2]
        torch.testing.assert_close(features, blocks[1](blocks[0](x)).flatten(1))
    with pytest.raises(ValueError, match="features: the discriminator of a GAN names no layer"):
        GAN(nn.Linear(2, 2), nn.Linear(2, 1), event_shape=(2,), latent_dim=2).features(torch.zeros(1, 2))


def test_feature_distance_ignores_the_order_of_examples():
    real, fake = torch.randn(6, 4), torch.randn(3, 4)
    expected = (real.mean(0) - fake.mean(0)).square().sum()
    torch.testing.assert_close(feature_distance(real[torch.randperm(6)], fake.flip(0)), expected)
    assert feature_distance(real, real) == 0


class Classifier(SemiSupervisedGAN):
    """Of points, by one linear map."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(2, 2), nn.Linear(2, 3), num_classes=3, event_shape=(2,), latent_dim=2)
        self.double()


def test_the_generated_class_is_the_one_whose_logit_is_0():
    """D(x) and p(k|x, real) are those of a softmax over K + 1 logits, the last of them 0."""
    logits = 3 * torch.randn(5, 3, dtype=torch.float64)
    all_classes = torch.cat([logits, torch.zeros(5, 1, dtype=torch.float64)], 1).softmax(1)
    torch.testing.assert_close(torch.sigmoid(realness(logits)), 1 - all_classes[:, 3])
    torch.testing.assert_close(logits.softmax(1), all_classes[:, :3] / (1 - all_classes[:, 3:]))
    assert realness(torch.full((1, 2), 1e4)).isfinite()


@pytest.mark.parametrize("given", [True, False])
def test_the_loss_is_supervised_and_unsupervised(given):
    model = Classifier()
    x, fake = torch.randn(6, 2, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    labels = torch.tensor([2, -1, 0, -1, -1, 1])
    labeled = (torch.randn(5, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 1]))
    objective = SemiSupervisedObjective(0.7)
    loss = objective.discriminator_loss(model, (x, labels), fake, **({"labeled": labeled} if given else {}))

    def all_classes(points):
        logits = model.discriminator(points)
        return torch.cat([logits, logits.new_zeros(len(logits), 1)], 1).log_softmax(1)

    some, wanted = labeled if given else (x[labels >= 0], labels[labels >= 0])
    among_real = all_classes(some)[:, :3].log_softmax(1)
    supervised = -among_real[torch.arange(len(wanted)), wanted].mean()
    real_log_d = torch.log1p(-all_classes(x)[:, 3].exp())
    unsupervised = -real_log_d.mean() - all_classes(fake)[:, 3].mean()
    torch.testing.assert_close(loss.value, 0.7 * supervised + unsupervised)
    torch.testing.assert_close(loss.parts["cross_entropy"], supervised.detach())
    accuracy = (model.discriminator(some).argmax(1) == wanted).double().mean()
    assert loss.parts["accuracy"] == accuracy


def test_without_labels_it_is_the_game_alone():
    model, x, fake = Classifier(), *torch.randn(2, 4, 2, dtype=torch.float64)
    labels = torch.full((4,), -1)
    loss = SemiSupervisedObjective(r1=0.5).discriminator_loss(model, (x, labels), fake)
    expected = AdversarialObjective(r1=0.5).discriminator_loss(model, (x, labels), fake)
    torch.testing.assert_close(loss.value, expected.value)
    assert loss.parts.keys() == {"r1"}
    judged = SemiSupervisedObjective(r1=0.5, label_smoothing=0.1).for_validation()
    assert (judged.r1, judged.label_smoothing, judged.feature_matching) == (0, 0, True)


def test_predictions_and_bad_weights():
    model = Classifier()
    model.output = "linear"
    x = torch.randn(7, 2, dtype=torch.float64)
    assert torch.equal(model.predict(x), model.discriminator(x).argmax(1))
    assert F.softplus(model.discriminate(x)).isfinite().all()
    for weight in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="label_weight: expected a finite number"):
            SemiSupervisedObjective(weight)
