"""DCGAN's training step as it is written by hand in plain PyTorch, in the ways that are worth comparing with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LATENT_DIM = 100


def networks(size: int, channels: int, width: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Generator and discriminator of Figure 13.8 from the ordinary layers, weights as in the paper."""
    levels = (size // 4).bit_length() - 1
    widths = [width * 2**level for level in range(levels)]
    up: list[nn.Module] = [nn.ConvTranspose2d(LATENT_DIM, widths[-1], 4, 1, 0, bias=False)]
    for inputs, outputs in zip(widths[::-1], [*widths[-2::-1], channels], strict=True):
        up += [nn.BatchNorm2d(inputs), nn.ReLU(True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
    down: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for inputs, outputs in pairwise(widths):
        down += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, True)]
    generator = nn.Sequential(*up, nn.Tanh())
    discriminator = nn.Sequential(*down, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False))
    for layer in (*generator, *discriminator):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return generator, discriminator


class PlainStep:
    """One step of each player on one batch.

    Args:
        generator, discriminator: of ``networks``.
        careful: as someone who minds the time writes it: Adam's fused form, and no gradients for the discriminator's
            weights in the generator's step. The well-known script has neither.
        channels_last: memory format of weights and images.
        compiled: both networks by ``torch.compile``.
        bf16: both networks under autocast.
        rate: learning rate of both.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        careful: bool = True,
        channels_last: bool = False,
        compiled: bool = False,
        bf16: bool = False,
        rate: float = 2e-4,
    ) -> None:
        format = torch.channels_last if channels_last else torch.contiguous_format
        self.careful = careful
        self.format = format
        self.weights = (generator.to(memory_format=format), discriminator.to(memory_format=format))
        self.generator, self.discriminator = (torch.compile(net) if compiled else net for net in self.weights)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), rate, (0.5, 0.999), fused=careful or None) for net in self.weights
        ]
        self.bf16 = bf16

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext()

    def _loss(self, images: Tensor, label: float) -> Tensor:
        with self._autocast():
            logits = self.discriminator(images)
        logits = logits.float().flatten()
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def __call__(self, batch: Tensor) -> tuple[float, float]:
        """Losses of discriminator and generator; ``batch [B, C, H, W]`` in [0, 1]."""
        real = (batch * 2 - 1).contiguous(memory_format=self.format)
        weights, (moves_g, moves_d) = self.weights[1], self.optimizers
        weights.zero_grad()
        loss_d = self._loss(real, 1.0)
        loss_d.backward()
        with self._autocast():
            fake = self.generator(torch.rand(len(real), LATENT_DIM, 1, 1) * 2 - 1)
        fake_loss = self._loss(fake.detach(), 0.0)
        fake_loss.backward()
        moves_d.step()
        if self.careful:
            weights.requires_grad_(False)
        self.weights[0].zero_grad()
        loss_g = self._loss(fake, 1.0)
        loss_g.backward()
        moves_g.step()
        if self.careful:
            weights.requires_grad_(True)
        return (loss_d + fake_loss).item(), loss_g.item()


def batches(images: Tensor, size: int) -> Iterator[Tensor]:
    """Shuffled batches for ever, a last smaller one left out."""
    while True:
        for rows in torch.randperm(len(images)).split(size):
            if len(rows) == size:
                yield images[rows]
