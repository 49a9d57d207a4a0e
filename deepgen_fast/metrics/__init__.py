"""Evaluation of trained models.

- Of densities: bounds on log p(x), and the use of the latent code.
- Of samples, without a network that has to be downloaded: distances of features from any extractor, fidelity and
  diversity, classes, and modes of a known mixture.
"""

from deepgen_fast.metrics.bits import bits_per_dimension
from deepgen_fast.metrics.classes import InceptionScore, class_divergence, class_histogram, inception_score
from deepgen_fast.metrics.elbo import ElboEvaluation, evaluate_elbo
from deepgen_fast.metrics.features import FeatureExtractor, extract_features
from deepgen_fast.metrics.frechet import GaussianStatistics, frechet_distance
from deepgen_fast.metrics.generative_classifier import (
    GenerativeClassification,
    class_log_likelihoods,
    class_log_prior,
    generative_classification,
)
from deepgen_fast.metrics.image_classifier import (
    ImageClassifier,
    cached_classifier,
    classification_accuracy,
    digit_classifier,
    train_image_classifier,
)
from deepgen_fast.metrics.importance import importance_weighted_log_likelihood
from deepgen_fast.metrics.kernel import KernelDistance, kernel_distance
from deepgen_fast.metrics.latents import ActiveUnits, active_units, latent_means
from deepgen_fast.metrics.modes import ModeCoverage, modes_found
from deepgen_fast.metrics.neighbors import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from deepgen_fast.metrics.perplexity import perplexity_per_word
from deepgen_fast.metrics.sample_quality import SampleEvaluator, SampleQuality

__all__ = [
    "ActiveUnits",
    "DensityCoverage",
    "ElboEvaluation",
    "FeatureExtractor",
    "GaussianStatistics",
    "GenerativeClassification",
    "ImageClassifier",
    "InceptionScore",
    "KernelDistance",
    "ModeCoverage",
    "PrecisionRecall",
    "SampleEvaluator",
    "SampleQuality",
    "active_units",
    "bits_per_dimension",
    "cached_classifier",
    "class_divergence",
    "class_histogram",
    "class_log_likelihoods",
    "class_log_prior",
    "classification_accuracy",
    "density_coverage",
    "digit_classifier",
    "evaluate_elbo",
    "extract_features",
    "frechet_distance",
    "generative_classification",
    "importance_weighted_log_likelihood",
    "inception_score",
    "kernel_distance",
    "latent_means",
    "modes_found",
    "perplexity_per_word",
    "precision_recall",
    "train_image_classifier",
]
