"""Generative classifier (13.1): Bayes' rule over the class-conditional densities of a conditional VAE.

    python -m reproductions.generative_classifier

log p(x|y) of each class is importance-weighted with the class's own q(z|x, y), p(y) are the classes' shares in the
training data. The classifier was trained for the density of binary digits, drawn anew from the gray ones at every step,
never to tell them apart. Test digits are binary at 0.5, and, for comparison, drawn once, as the command does it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from deepgen_fast.data import binarize, load_dataset
from deepgen_fast.metrics import GenerativeClassification, class_log_prior, generative_classification
from reproductions.acceptance import Claim, Options, accept
from reproductions.training import trained

SAMPLES = 100  # of z an example and class

CLAIMS = (
    Claim("accuracy", "accuracy on the 500 test digits, binary at 0.5", 0.95),
    Claim("accuracy_drawn", "the same, binary digits drawn"),
    Claim("log_p", "log p(x) of them, the class summed out, nats", digits=1),
    Claim("log_p_given_class", "log p(x|y) at their own class, nats", digits=1),
)


def measure(options: Options) -> dict[str, float]:
    """Train, and classify the test digits."""
    data = load_dataset("mnist5k")
    test = data.test
    assert data.train.labels is not None and test is not None and test.images is not None and test.labels is not None
    model, _ = trained("cvae", options.seed, data__binarize="stochastic")
    x = binarize(test.images, "threshold")
    prior = class_log_prior(data.train.labels, model.num_classes)
    found = generative_classification(model, x, prior, SAMPLES, seed=options.seed)
    drawn = binarize(test.images, "stochastic", torch.Generator().manual_seed(options.seed))
    of_drawn = generative_classification(model, drawn, prior, SAMPLES, seed=options.seed)
    if options.pictures is not None:
        draw(x, test.labels, found, options.pictures / "generative_classifier.png")
    return {
        "accuracy": found.accuracy(test.labels),
        "accuracy_drawn": of_drawn.accuracy(test.labels),
        "log_p": found.log_p.mean().item(),
        "log_p_given_class": found.log_likelihoods.gather(1, test.labels[:, None]).mean().item(),
    }


def draw(x: Tensor, labels: Tensor, found: GenerativeClassification, path: Path) -> None:
    """How far the test digits of each class are, on the mean, from the densities of all classes."""
    from matplotlib.figure import Figure

    mean = torch.stack([found.log_likelihoods[labels == k].mean(0) for k in range(10)])
    figure = Figure(figsize=(5.6, 4.8), layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(mean - mean.diagonal()[:, None], cmap="viridis")
    axes.set(xlabel="density of class y", ylabel="test digits of class", xticks=range(10), yticks=range(10))
    axes.set_title("mean log p(x|y) beside that of their own class", fontsize=11)
    figure.colorbar(shown, label="nats")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    accept(
        "generative_classifier",
        "Generative classifier (equation 13.1)",
        CLAIMS,
        measure,
        command="deepgen-fast train cvae --binarize stochastic -o RUN; deepgen-fast evaluate RUN --classify",
    )
