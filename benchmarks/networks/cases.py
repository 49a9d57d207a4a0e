"""The networks, and the images that each batch size is measured on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from benchmarks.convolution.networks import generator
from benchmarks.networks import classifiers, generative, image_to_image

BATCHES = (1, 16, 64)
MODES = ("evaluation", "training step")
FORMATS = ("contiguous", "channels-last")


class Network(NamedTuple):
    """``shapes`` of an example's input, by batch size: smaller images where there are more, so that a row takes
    seconds."""

    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, int, int], ...]


def _square(channels: int, *sizes: int) -> tuple[tuple[int, int, int], ...]:
    return tuple((channels, size, size) for size in sizes)


NETWORKS = {
    "ResNet-18": Network(classifiers.resnet18, _square(3, 224, 224, 96)),
    "ResNet-50": Network(classifiers.resnet50, _square(3, 224, 96, 64)),
    "MobileNetV2": Network(classifiers.mobilenet_v2, _square(3, 224, 128, 64)),
    "VGG-16": Network(classifiers.vgg16, _square(3, 224, 64, 32)),
    "U-Net": Network(image_to_image.UNet, _square(3, 128, 128, 64)),
    "DCGAN generator": Network(lambda: generator(64), _square(100, 1, 1, 1)),
    "SNGAN discriminator": Network(generative.SNGANDiscriminator, _square(3, 32, 32, 32)),
    "pix2pix generator": Network(image_to_image.pix2pix, _square(3, 128, 128, 128)),
    "CycleGAN generator": Network(image_to_image.cyclegan, _square(3, 128, 64, 32)),
    "convolutional VAE": Network(generative.ConvolutionalVAE, _square(1, 28, 28, 28)),
    "latent diffusion decoder": Network(generative.DiffusionDecoder, _square(4, 16, 8, 4)),
    "EDSR super-resolution": Network(image_to_image.SuperResolution, _square(3, 64, 32, 16)),
}
