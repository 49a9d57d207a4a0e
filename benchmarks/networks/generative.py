"""Generators, discriminators and decoders, in the layout of their published code."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class SNGANBlock(nn.Module):
    """A residual block of SNGAN's discriminator (Miyato et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, downsample: bool, first: bool = False) -> None:
        super().__init__()
        self.downsample, self.first = downsample, first
        self.c1 = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.c2 = spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.c_sc = spectral_norm(nn.Conv2d(inputs, outputs, 1)) if downsample or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.c2(F.relu(self.c1(x if self.first else F.relu(x))))
        shortcut = x if self.c_sc is None else self.c_sc(x)
        if self.downsample:
            h, shortcut = F.avg_pool2d(h, 2), F.avg_pool2d(shortcut, 2)
        return h + shortcut


class SNGANDiscriminator(nn.Module):
    """For 32x32."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            SNGANBlock(3, width, True, first=True),
            SNGANBlock(width, width, True),
            SNGANBlock(width, width, False),
            SNGANBlock(width, width, False),
        )
        self.out = spectral_norm(nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.blocks(x)).sum((2, 3)))


class ConvolutionalVAE(nn.Module):
    """Encoder and decoder for 28x28, 3x3 at stride 2, as in many tutorials."""

    def __init__(self, latent_dim: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten()
        )
        self.mean = nn.Linear(64 * 7 * 7, latent_dim)
        self.expand = nn.Linear(latent_dim, 64 * 7 * 7)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 64, 3, 2, 1, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 3, 2, 1, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(F.relu(self.expand(self.mean(self.encoder(x)))))


class _DecoderBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(32, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class _Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class DiffusionDecoder(nn.Module):
    """The convolutional decoder of a latent diffusion model's autoencoder (Rombach et al. 2022), at a quarter of its
    width and without attention."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(4, 4 * width, 3, padding=1)
        layers: list[nn.Module] = []
        inputs = 4 * width
        for level, factor in enumerate((4, 4, 2, 1)):
            for _ in range(2):
                layers.append(_DecoderBlock(inputs, factor * width))
                inputs = factor * width
            if level < 3:
                layers.append(_Upsample(inputs))
        self.up = nn.Sequential(*layers)
        self.norm_out = nn.GroupNorm(32, width)
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(F.silu(self.norm_out(self.up(self.conv_in(x)))))
