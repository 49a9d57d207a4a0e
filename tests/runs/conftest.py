"""Small models, data and settings that the tests of whole runs share."""

from training.fixtures import build_gan, build_vae, images, pictures, quiet, same_run

__all__ = ["build_gan", "build_vae", "images", "pictures", "quiet", "same_run"]
