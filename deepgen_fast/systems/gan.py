"""The fully connected GAN."""

from __future__ import annotations

from deepgen_fast.models import fully_connected_gan
from deepgen_fast.systems.adversarial import adversarial_system

adversarial_system("gan", "fully connected GAN")(fully_connected_gan)
