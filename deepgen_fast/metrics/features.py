"""Features of images by any extractor, in batches; and what every metric on features asks of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

from deepgen_fast.metrics.evaluation import Examples, batches_of, device_of, evaluation_mode

#: Images `[b, *event]` to features `[b, d]`: a module, or any function.
FeatureExtractor: TypeAlias = Callable[[Tensor], Tensor]


def extract_features(extractor: FeatureExtractor, images: Examples, *, batch_size: int = 256) -> Tensor:
    """Features `[N, d]` of every image, in order, a batch at a time.

    No extractor comes with the library and none is downloaded: a metric is as telling as the features are fit for
    the images. `ImageClassifier.features` is one that is trained on the spot; an Inception network of your own is
    another.

    Args:
        extractor: images `[b, *event]` to features `[b, d]`; dimensions of size 1 behind d, as of average pooling,
            are dropped. A module runs in eval mode and is left in the mode it was in. It brings the images to the
            scale and size that it wants.
        images: `[N, *event]`, or an iterable of batches such as a DataLoader. Only one batch is held at a time, so a
            generator expression over batches of a GAN's samples needs no memory for the images.
        batch_size: images a pass, for a tensor.

    Returns:
        Features on the extractor's device, without gradients, in the dtype that it gives.

    Raises:
        ValueError: images holds no image, or the extractor gives anything but one vector an image.
    """
    with evaluating(extractor):
        batches = batches_of(images, batch_size, device_for(extractor, images), "images")
        return torch.cat([features_of(extractor, batch) for batch in batches])


@contextmanager
def evaluating(*functions: Callable[..., Tensor] | None) -> Iterator[None]:
    """No gradients, and eval mode for those that are modules."""
    with torch.no_grad(), ExitStack() as stack:
        for function in functions:
            if isinstance(function, nn.Module):
                stack.enter_context(evaluation_mode(function))
        yield


def device_for(extractor: FeatureExtractor, images: Examples) -> torch.device:
    """Where batches go: to a module's parameters; a function takes them where they are, and from loaders on the CPU."""
    if isinstance(extractor, nn.Module):
        return device_of(extractor)
    return images.device if isinstance(images, Tensor) else torch.device("cpu")


def features_of(extractor: FeatureExtractor, batch: Tensor) -> Tensor:
    """Features `[b, d]` of one batch, checked."""
    features = extractor(batch)
    if not isinstance(features, Tensor):
        raise TypeError(f"extractor: expected it to return a tensor, got {type(features).__name__}")
    if features.dim() < 2 or features.shape[0] != batch.shape[0] or features.shape[2:].numel() != 1:
        raise ValueError(
            f"extractor: expected one feature vector an image, [{batch.shape[0]}, d], "
            f"got {list(features.shape)}; flatten or average what is spatial"
        )
    return features.flatten(1)


def check_features(name: str, features: Tensor, *, at_least: int) -> Tensor:
    """features `[N, d]` in float64, of at least so many samples, all finite.

    float64, whatever they came in: sums over many samples of squares and products cancel, and float32 has then no
    digits left for a small distance.
    """
    if not isinstance(features, Tensor):
        raise TypeError(f"{name}: expected a tensor of features [N, d], got {type(features).__name__}")
    if features.dim() != 2 or features.shape[1] == 0:
        raise ValueError(f"{name}: expected features of shape [N, d], got {list(features.shape)}")
    if features.shape[0] < at_least:
        raise ValueError(f"{name}: expected at least {at_least} samples, got {features.shape[0]}")
    finite = features.isfinite().all(dim=1)
    if not finite.all():
        bad = (~finite).nonzero().flatten()
        raise ValueError(
            f"{name}: {len(bad)} of {len(features)} samples have NaN or infinite features, the first at row {bad[0]}"
        )
    return features.detach().double()


def check_pair(real: Tensor, fake: Tensor, *, at_least: int) -> tuple[Tensor, Tensor]:
    """Both sets of features, in float64 and of one width."""
    real, fake = check_features("real", real, at_least=at_least), check_features("fake", fake, at_least=at_least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake: expected {real.shape[1]} features a sample, as real has, got {fake.shape[1]}")
    return real, fake
