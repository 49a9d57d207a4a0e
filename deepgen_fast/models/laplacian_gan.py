"""A GAN at each level of a Laplacian pyramid (chapter 13.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepgen_fast.models.gan import GAN, dtype_of, logits_of
from deepgen_fast.models.laplacian_pyramid import band, check_halves, gaussian_pyramid, up
from deepgen_fast.models.likelihoods import check_event_shape
from deepgen_fast.random import BatchNoise


class LAPGAN(GAN):
    """A Laplacian pyramid of generators, coarse to fine; level 0 is the finest.

    With I_0 = I the image, I_(k+1) = d(I_k) blurred and halved, and l_k = u(I_(k+1)) doubled again, a level k makes the
    band h_k that l_k lacks, and the coarsest level K the small image itself (equations 3 to 5 of the paper):

        h_k = I_k - l_k,    I~_K = G_K(z_K),    I~_k = u(I~_(k+1)) + G_k(z_k, u(I~_(k+1))).

    An example is a tuple with a part for each level, the finest first: ``(h_k, l_k)``, of the coarsest ``I_K``. D_k
    sees h_k + l_k. Latents drawn beside real examples, as in training, hold the real l_k, so that no level waits for
    another; latents drawn alone do not, and each level refines what the level before has made.

    Args:
        generators, discriminators: by level. Where levels are missing, only those here are trained: the model of one
            fine level is ``conditioned`` on real blurred images.
        event_shape: of the whole image, ``(C, H, W)``.
        levels: number of pyramid levels, those elsewhere included.
        latent_dim: size of z_K; the others are planes as large as the image.
        prior: of all z.

    Raises:
        ValueError: as ``GAN``; an image that does not halve so often; levels that are no row down to one another.
    """

    def __init__(
        self,
        generators: Mapping[int, nn.Module],
        discriminators: Mapping[int, nn.Module],
        *,
        event_shape: Sequence[int],
        levels: int,
        latent_dim: int,
        prior: str = "uniform",
    ) -> None:
        present = sorted(generators)
        if not present or present != list(range(levels))[present[0] : present[-1] + 1]:
            raise ValueError(
                f"generators: expected levels from 0 to {levels - 1} that follow one another, got {present}"
            )
        if sorted(discriminators) != present:
            raise ValueError(f"discriminators: expected those of the levels {present}, got {sorted(discriminators)}")
        super().__init__(
            nn.ModuleDict({str(level): generators[level] for level in present}),
            nn.ModuleDict({str(level): discriminators[level] for level in present}),
            event_shape=image_shape_of(event_shape, levels), latent_dim=latent_dim, prior=prior,
        )  # fmt: skip
        self.levels = levels
        self.present = tuple(present)
        self.coarsest = levels - 1
        self.conditioned = self.coarsest not in self.present

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, levels={self.levels}, present={self.present}"

    def shape_of(self, level: int) -> tuple[int, int, int]:
        """Of the images of a level, ``(C, H, W)``."""
        channels, height, width = self.event_shape
        return channels, height >> level, width >> level

    def from_data(self, x: Any) -> Any:
        """The parts of the levels here, of images ``[B, *event_shape]``."""
        images = gaussian_pyramid(super().from_data(x), min(self.present[-1] + 2, self.levels))
        return tuple(
            images[level] if level == self.coarsest else band(images[level], images[level + 1])
            for level in self.present
        )

    def to_data(self, example: Any) -> Tensor:
        """The image of the finest level here, as data in [0, 1]: h_k + l_k is not bounded by itself."""
        return self.images_of(example)[0]

    def images_of(self, example: Any) -> list[Tensor]:
        """The image of every level here as data, the finest first."""
        return [super(LAPGAN, self).to_data(_image(part)).clamp(0.0, 1.0) for part in example]

    def draw_latent(self, count: int, noise: BatchNoise | None = None, real: Any = None) -> Any:
        """z of each level here, the finest first; then, of ``real``, the l_k of the levels that are conditioned on one.

        Raises:
            ValueError: nothing to be conditioned on.
        """
        if real is None and self.conditioned:
            raise ValueError(
                f"real: expected examples, as from_data makes them: without coarser levels, level {self.present[-1]} "
                "is conditioned on real images"
            )
        z = tuple(self.draw_prior((count, *self._latent_shape(level)), noise) for level in self.present)
        return z if real is None else z + tuple(part[1] for part in real if not isinstance(part, Tensor))

    def _latent_shape(self, level: int) -> tuple[int, ...]:
        return (self.latent_dim,) if level == self.coarsest else (1, *self.shape_of(level)[1:])

    def generate(self, latent: Any) -> Any:
        """A part for each level here, as ``draw_latent`` has drawn it."""
        lows = dict(zip(self.present, latent[len(self.present) :], strict=False))
        parts: list[Any] = []
        for level, z in reversed(list(zip(self.present, latent, strict=False))):
            network = _at(self.generator, level)
            dtype = dtype_of(network)
            if level == self.coarsest:
                parts.append(network(z.to(dtype)))
            else:
                # Widened where the network is narrow: the image that is handed on is a sum.
                low = lows[level] if lows else up(_image(parts[-1]).to(torch.promote_types(dtype, torch.float32)))
                parts.append((network((z.to(dtype), low.to(dtype))), low))
        return tuple(reversed(parts))

    def discriminate(self, example: Any) -> Tensor:
        """One logit an example and level, ``[len(present) * B]``, the finest level's first."""
        return torch.cat([self.discriminate_at(level, part) for level, part in zip(self.present, example, strict=True)])

    def discriminate_at(self, level: int, part: Any) -> Tensor:
        """One logit for each part ``(h_k, l_k)`` of a level, ``[B]``; of the coarsest, for ``I_K``."""
        return logits_of(_at(self.discriminator, level), _image(part))


def _at(networks: Any, level: int) -> nn.Module:
    return networks[str(level)]


def _image(part: Any) -> Tensor:
    """I_k of a level's part."""
    return part if isinstance(part, Tensor) else part[0] + part[1]


def image_shape_of(event_shape: Sequence[int], levels: int) -> tuple[int, int, int]:
    """``event_shape`` where it is an image of so many levels.

    Raises:
        ValueError: where it is not, naming the size that does not halve so often.
    """
    shape = check_event_shape(event_shape)
    if len(shape) != 3:
        raise ValueError(f"event_shape: expected an image (C, H, W), got {shape}")
    check_halves("event_shape", shape[1:], levels - 1)
    return shape


def combine(models: Sequence[LAPGAN]) -> LAPGAN:
    """One model of levels that were trained alone, whose networks it holds (it does not copy them).

        combine([runs.open(f"runs/level{k}").model for k in range(3)]).sample(16)

    Args:
        models: of one pyramid, each of other levels, without a gap.

    Raises:
        ValueError: models of pyramids that differ, or a level that comes twice or is missing between others.
    """
    first = models[0]
    generators: dict[int, nn.Module] = {}
    discriminators: dict[int, nn.Module] = {}
    for model in models:
        for name in ("event_shape", "levels", "latent_dim", "prior"):
            if getattr(model, name) != getattr(first, name):
                raise ValueError(f"models: expected one {name}, got {getattr(first, name)} and {getattr(model, name)}")
        for level in model.present:
            if level in generators:
                raise ValueError(f"models: level {level} comes twice")
            generators[level] = _at(model.generator, level)
            discriminators[level] = _at(model.discriminator, level)
    return LAPGAN(
        generators, discriminators, event_shape=first.event_shape, levels=first.levels, latent_dim=first.latent_dim,
        prior=first.prior,
    ).train(first.training)  # fmt: skip
