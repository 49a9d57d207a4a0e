"""Models: one file a system of the chapter."""

from __future__ import annotations

from deepgen_fast.models.catgan import CatGAN, catgan
from deepgen_fast.models.conditional_gan import ConditionalGAN, conditional_gan
from deepgen_fast.models.conditional_vae import ConditionalVAE, conditional_vae
from deepgen_fast.models.convolutional_vae import convolutional_vae
from deepgen_fast.models.dcgan import dcgan
from deepgen_fast.models.deep_latent_gaussian import DeepLatentGaussianModel, deep_latent_gaussian
from deepgen_fast.models.event_shape import agreed_event_shape, is_image
from deepgen_fast.models.fully_connected_gan import fully_connected_gan
from deepgen_fast.models.gan import GAN
from deepgen_fast.models.generative_model import AdversarialModel, GenerativeModel, VariationalModel, check_model
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
from deepgen_fast.models.variational_autoencoder import variational_autoencoder

__all__ = [
    "GAN",
    "LAPGAN",
    "VAE",
    "AdversarialModel",
    "BernoulliLikelihood",
    "CatGAN",
    "CodePosterior",
    "ConditionalGAN",
    "ConditionalVAE",
    "DeepLatentGaussianModel",
    "GaussianLikelihood",
    "GenerativeModel",
    "InfoGAN",
    "Likelihood",
    "Posterior",
    "SemiSupervisedGAN",
    "SentenceVAE",
    "VAEOutput",
    "VariationalModel",
    "agreed_event_shape",
    "build_likelihood",
    "catgan",
    "check_model",
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
    "variational_autoencoder",
]
