"""Models: one file a system of the chapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepgen_fast.models.catgan import CatGAN, catgan
from deepgen_fast.models.conditional_gan import ConditionalGAN, conditional_gan
from deepgen_fast.models.conditional_vae import ConditionalVAE, conditional_vae
from deepgen_fast.models.convolutional_vae import convolutional_vae
from deepgen_fast.models.dcgan import dcgan
from deepgen_fast.models.deep_latent_gaussian import DeepLatentGaussianModel, deep_latent_gaussian
from deepgen_fast.models.event_shape import agreed_event_shape, is_image
from deepgen_fast.models.fully_connected_gan import fully_connected_gan
from deepgen_fast.models.gan import GAN
from deepgen_fast.models.infogan import CodePosterior, InfoGAN, infogan
from deepgen_fast.models.interpolation import latent_path
from deepgen_fast.models.lapgan import lapgan
from deepgen_fast.models.laplacian_gan import LAPGAN
from deepgen_fast.models.likelihoods import BernoulliLikelihood, GaussianLikelihood, Likelihood, build_likelihood
from deepgen_fast.models.posterior import Posterior
from deepgen_fast.models.semi_supervised_gan import SemiSupervisedGAN, semi_supervised_gan
from deepgen_fast.models.sentence_vae import SentenceVAE, sentence_vae
from deepgen_fast.models.two_layer_vae import two_layer_vae
from deepgen_fast.models.vae import VAE, VAEOutput

__all__ = [
    "GAN",
    "LAPGAN",
    "VAE",
    "BernoulliLikelihood",
    "CatGAN",
    "CodePosterior",
    "ConditionalGAN",
    "ConditionalVAE",
    "DeepLatentGaussianModel",
    "GaussianLikelihood",
    "InfoGAN",
    "Likelihood",
    "Posterior",
    "SemiSupervisedGAN",
    "SentenceVAE",
    "VAEOutput",
    "agreed_event_shape",
    "build_likelihood",
    "build_model",
    "catgan",
    "conditional_gan",
    "conditional_vae",
    "convolutional_vae",
    "dcgan",
    "deep_latent_gaussian",
    "fully_connected_gan",
    "infogan",
    "is_image",
    "lapgan",
    "latent_path",
    "semi_supervised_gan",
    "sentence_vae",
    "two_layer_vae",
]


def build_model(config: Any, event_shape: Sequence[int] | None = None) -> VAE:
    """The model that a ``ModelConfig`` describes.

    Args:
        config: anything with the fields of ``deepgen_fast.config.sections.ModelConfig``.
        event_shape: shape of one example of the data. Needed unless ``config.event_shape`` is set; where both
            are, they must agree.

    Raises:
        ValueError: when no event shape is known, when the two differ, or for a field out of its range.
    """
    shape = agreed_event_shape(config.event_shape, event_shape)
    common: dict[str, Any] = {
        "latent_dim": config.latent_dim,
        "likelihood": config.likelihood,
        "variance": config.variance,
        "scale": config.scale,
        "activation": config.activation,
    }
    if config.architecture == "two_layer":
        return two_layer_vae(shape, config.hidden_dim, **common)
    if config.architecture == "convolutional":
        return convolutional_vae(shape, config.channels, **common)
    raise ValueError(f"architecture: expected 'two_layer' or 'convolutional', got {config.architecture!r}")
