"""DCGAN's generator and discriminator (Radford et al. 2015; Figure 13.8), plain and accelerated."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

import deepgen_fast as dgf

CANDIDATES = (
    "PyTorch, contiguous",
    "PyTorch, channels-last",
    "torch.compile",
    "PyTorch, channels-last, bf16 autocast",
    "accelerate()",
)
RIVALS = 3  # the first ones, in float32
# Network, what is timed, and the speed-up aimed at.
CASES = tuple(
    (name, *mode)
    for name in ("generator", "discriminator")
    for mode in (("training forward", 1.8), ("evaluation", 2.0), ("forward + backward", 1.7))
)


def generator(width: int = 128, latent_dim: int = 100) -> nn.Sequential:
    channels = [width * 8, width * 4, width * 2, width]
    layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, channels[0], 4, 1, 0, bias=False)]
    for inputs, outputs in zip(channels, [*channels[1:], 3], strict=True):
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


def discriminator(width: int = 128) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for factor in (1, 2, 4):
        inputs, outputs = width * factor, width * factor * 2
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(width * 8, 1, 4, 1, 0, bias=False))


def steps(name: str, mode: str, batch: int = 64) -> tuple[Callable[[], None], ...]:
    """One step of each candidate."""
    torch.manual_seed(0)
    is_generator = name == "generator"
    plain = generator() if is_generator else discriminator()
    x = torch.randn(batch, 100, 1, 1) if is_generator else torch.randn(batch, 3, 64, 64)
    last, last_x = (
        copy.deepcopy(plain).to(memory_format=torch.channels_last),
        x.contiguous(memory_format=torch.channels_last),
    )
    compiled = torch.compile(copy.deepcopy(last), dynamic=False)

    def step(network: nn.Module, x: torch.Tensor, bf16: bool = False) -> Callable[[], None]:
        network.train(mode != "evaluation")

        def forward() -> None:
            with torch.no_grad(), torch.autocast("cpu", enabled=bf16):
                network(x)

        def both() -> None:
            network.zero_grad()
            with torch.autocast("cpu", enabled=bf16):
                loss = network(x.detach().requires_grad_(not is_generator)).float().square().mean()
            loss.backward()

        return both if mode == "forward + backward" else forward

    return (
        step(plain, x),
        step(last, last_x),
        step(compiled, last_x),
        step(copy.deepcopy(last), last_x, bf16=True),
        step(dgf.accelerate(copy.deepcopy(plain)), x),
    )
