"""The classifier that is trained on the spot: accuracy, determinism, its file, and as a feature extractor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from deepgen_fast.data import load_dataset
from deepgen_fast.metrics import (
    ImageClassifier,
    classification_accuracy,
    digit_classifier,
    extract_features,
    frechet_distance,
    image_classifier,
    train_image_classifier,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageClassifier, Path]:
    cache = tmp_path_factory.mktemp("classifier") / "below" / "digits.safetensors"
    return digit_classifier(cache=cache), cache


def test_reads_held_out_digits(trained: tuple[ImageClassifier, Path]) -> None:
    test = load_dataset("mnist5k").test
    assert test is not None and test.images is not None and test.labels is not None
    assert classification_accuracy(trained[0], test.images, test.labels) >= 0.97


def test_the_file_holds_the_classifier(trained: tuple[ImageClassifier, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, cache = trained

    def no_training(*_: object, **__: object) -> None:
        raise AssertionError("trained again, though it was in the file")

    monkeypatch.setattr(image_classifier, "train_image_classifier", no_training)
    read = digit_classifier(cache=cache)
    assert not read.training
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in classifier.state_dict().items())
    content = cache.read_bytes()
    with pytest.raises(ValueError, match=r"cache: .* holds another classifier: expected .*'seed': 1.*remove it first"):
        digit_classifier(seed=1, cache=cache)
    assert cache.read_bytes() == content
    broken = cache.with_name("broken.safetensors")
    broken.write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"cache: .* is no readable safetensors file"):
        digit_classifier(cache=broken)


def test_features_fit_torchmetrics(trained: tuple[ImageClassifier, Path]) -> None:
    splits = load_dataset("mnist5k")
    assert splits.train.images is not None and splits.test is not None and splits.test.images is not None
    extractor, real, fake = trained[0].features, splits.train.images[:500], splits.test.images
    metric = FrechetInceptionDistance(feature=extractor, normalize=True)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    features = extract_features(extractor, real), extract_features(extractor, fake)
    assert features[0].shape == (500, extractor.num_features)
    assert frechet_distance(*features) == pytest.approx(metric.compute().item(), rel=1e-5)


def test_training_depends_on_its_seed_alone() -> None:
    images, labels = torch.rand(100, 3, 16, 16), torch.arange(100) % 4
    before = torch.get_rng_state()
    first = train_image_classifier(images, labels, epochs=2, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    second = train_image_classifier(images, labels, epochs=2, seed=3)
    other = train_image_classifier(images, labels, epochs=2, seed=4)
    assert first(images).shape == (100, 4) and not first.training
    assert torch.equal(first(images), second(images))
    assert not torch.equal(first(images), other(images))


def test_shifts_move_whole_images_by_up_to_two_pixels() -> None:
    images = torch.zeros(200, 2, 9, 11)
    images[:, 0, 4, 5], images[:, 1, 3, 6] = 1.0, 2.0
    moved = image_classifier._shifted(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    places = moved.nonzero()
    first, second = places[places[:, 1] == 0], places[places[:, 1] == 1]
    offsets = first[:, 2:] - torch.tensor([4, 5])
    assert torch.equal(offsets, second[:, 2:] - torch.tensor([3, 6]))  # all channels alike
    assert {tuple(offset) for offset in offsets.tolist()} == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_pixels_out_of_range_are_refused(trained: tuple[ImageClassifier, Path]) -> None:
    with pytest.raises(ValueError, match=r"images: expected pixels in \[0, 1\], got -1 to 1; .*\(x \+ 1\) / 2"):
        trained[0](torch.linspace(-1, 1, 784).reshape(1, 1, 28, 28))
    with pytest.raises(ValueError, match=r"expected pixels in \[0, 1\], got nan"):
        trained[0](torch.full((1, 1, 28, 28), float("nan")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(10, 784), torch.zeros(10, dtype=torch.int64)), r"images: expected \[N, C, H, W\].*got \[10, 784"),
        ((torch.zeros(10, 1, 4, 4), torch.zeros(10, dtype=torch.int64)), "images: .* at least 8 x 8 pixels"),
        ((torch.zeros(10, 1, 8, 8), torch.zeros(9, dtype=torch.int64)), "labels: expected 10 integers from 0"),
        ((torch.zeros(10, 1, 8, 8), torch.zeros(10)), "labels: expected 10 integers from 0, got torch.float32"),
    ],
)
def test_bad_training_data(arguments: tuple[torch.Tensor, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_image_classifier(*arguments)


def test_labels_that_are_not_one_an_image() -> None:
    with pytest.raises(ValueError, match=r"labels: expected 5, one an image, got shape \[4\]"):
        classification_accuracy(ImageClassifier(), torch.rand(5, 1, 28, 28), torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("size", [26, 29])
def test_bad_image_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"image_size: expected an even number of at least 28, got {size}"):
        digit_classifier(image_size=size)
