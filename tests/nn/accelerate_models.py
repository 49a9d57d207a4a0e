"""Models as people write them, small: what accelerate meets."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from deepgen_fast import ops

FUSED = ("conv2d", "conv_transpose2d", "conv_bn_act", "conv_transpose_bn_act")


class Generator(nn.Module):
    """The generator of PyTorch's DCGAN tutorial, 32x32."""

    def __init__(self, nz: int = 6, ngf: int = 4, nc: int = 3):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 4, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input: Tensor) -> Tensor:
        return self.main(input)


class Discriminator(nn.Module):
    """The discriminator of PyTorch's DCGAN tutorial, 32x32."""

    def __init__(self, ndf: int = 4, nc: int = 3):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 4, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, input: Tensor) -> Tensor:
        return self.main(input)


class ConvVAE(nn.Module):
    """Encoder and decoder of a widely copied VAE: kernel 3, lists of blocks, a ``view`` after the convolutions."""

    def __init__(self, channels: tuple[int, ...] = (4, 6, 8), latent: int = 5):
        super().__init__()
        blocks, last = [], 3
        for width in channels:
            blocks.append(
                nn.Sequential(nn.Conv2d(last, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.LeakyReLU())
            )
            last = width
        self.encoder = nn.Sequential(*blocks)
        self.fc_mu = nn.Linear(last * 4, latent)
        self.decoder_input = nn.Linear(latent, last * 4)
        blocks = []
        for width in (*reversed(channels[:-1]), channels[0]):
            transposed = nn.ConvTranspose2d(last, width, 3, stride=2, padding=1, output_padding=1)
            blocks.append(nn.Sequential(transposed, nn.BatchNorm2d(width), nn.LeakyReLU()))
            last = width
        self.decoder = nn.Sequential(*blocks)
        self.final_layer = nn.Sequential(nn.Conv2d(last, 3, 3, padding=1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.encoder(x)
        hidden = hidden.view(hidden.shape[0], -1)
        start = self.decoder_input(self.fc_mu(hidden)).view(x.shape[0], -1, 2, 2)
        return self.final_layer(self.decoder(start))


class ResidualBlock(nn.Module):
    """Single convolutions called by hand, and a Sequential on the way past."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.layers = nn.ModuleList([ResidualBlock(4, 4, 1), ResidualBlock(4, 8, 2)])
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class UNet(nn.Module):
    """Encoder and decoder with skips: slices a Sequential, iterates one by hand, gives output_size."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 6, 4, 2, 1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
        )
        self.middle = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1, padding_mode="reflect"), nn.BatchNorm2d(6), nn.ReLU())
        self.up = nn.ConvTranspose2d(6, 4, 4, 2, 1)
        self.out = nn.Sequential(nn.Conv2d(8, 4, 3, 1, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down[:3](x)
        hidden = skip
        for layer in self.down[3:]:
            hidden = layer(hidden)
        hidden = self.up(self.middle(hidden), output_size=skip.shape[-2:])
        return self.out(torch.cat([hidden, skip], 1))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "generator": (Generator, (4, 6, 1, 1)),
    "discriminator": (Discriminator, (4, 3, 32, 32)),
    "conv_vae": (ConvVAE, (4, 3, 16, 16)),
    "resnet": (ResNet, (4, 3, 32, 32)),
    "unet": (UNet, (4, 3, 15, 17)),
}


def build(name: str) -> tuple[nn.Module, nn.Module, Tensor]:
    """Two equal models, and an input."""
    make, shape = MODELS[name]
    torch.manual_seed(1)
    model = make()
    for module in model.modules():  # batch norms as after some training
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.0, 0.2)
            module.running_mean.normal_(0.0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return model, copy.deepcopy(model), torch.randn(shape)


def block(inputs: int = 3, outputs: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))


class NamedBlock(nn.Sequential):
    """A Sequential with a constructor of its own, as torchvision's."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
        self.outputs = outputs


@contextlib.contextmanager
def counted_operators() -> Iterator[list[str]]:
    """The names of the fused operators, in the order of their calls."""
    calls: list[str] = []
    originals = {name: getattr(ops, name) for name in FUSED}

    def counting(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            return originals[name](*args, **options)

        return call

    for name in FUSED:
        setattr(ops, name, counting(name))
    try:
        yield calls
    finally:
        for name, original in originals.items():
            setattr(ops, name, original)


def assert_same(actual: Any, expected: Any, what: str = "") -> None:
    """Equal up to the rounding of float32 convolutions (the contract allows Winograd filtering 3e-6 a layer)."""
    scale = expected.abs().max().clamp_min(1e-6)
    error = (actual - expected).abs().max() / scale
    assert actual.shape == expected.shape and error <= 3e-5, f"{what}: {error.item():.1e}"
