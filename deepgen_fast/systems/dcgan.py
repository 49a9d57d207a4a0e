"""The deep convolutional GAN."""

from __future__ import annotations

from deepgen_fast.models import dcgan
from deepgen_fast.systems.adversarial import adversarial_system

adversarial_system("dcgan", "deep convolutional GAN")(dcgan)
