"""`deepgen-fast evaluate --classify`: a class-conditional density as a classifier (13.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepgen_fast.cli.errors import UsageError

if TYPE_CHECKING:
    from deepgen_fast.cli.runs import Run


def check_classifier(run: Run) -> None:
    """Check that Bayes' rule can be asked of a run's model.

    Raises:
        UsageError: it has no p(x|y).
    """
    from deepgen_fast.metrics.evaluation import takes_labels

    if not takes_labels(run.model):
        raise UsageError(
            f"--classify: a {run.config.system} has no density p(x|y) of each class, which Bayes' rule needs; "
            "train a cvae for one"
        )


def measure_classes(run: Run, split: str, *, samples: int, seed: int) -> dict[str, Any]:
    """Accuracy of Bayes' rule on a split, and the mean of log p(x) where the class is not known."""
    import torch

    from deepgen_fast.cli.progress import progress_bar
    from deepgen_fast.cli.runs import BinarizedBatches, split_examples
    from deepgen_fast.metrics import class_log_prior, generative_classification
    from deepgen_fast.runs.run import labels_of
    from deepgen_fast.systems import system_named

    known = labels_of(system_named(run.config.system), run.data.train, run.data.name)
    assert known is not None
    log_prior = class_log_prior(known, run.model.num_classes)
    data = split_examples(run, split)
    hits, log_p = [], []
    with progress_bar("p(y|x)") as progress:
        for index, (x, labels) in enumerate(data if isinstance(data, BinarizedBatches) else [data]):
            found = generative_classification(run.model, x, log_prior, samples, seed=seed + index, progress=progress)
            hits.append(found.predicted == labels)
            log_p.append(found.log_p)
    right = torch.cat(hits).double()
    accuracy = right.mean().item()
    return {
        "accuracy": accuracy,
        "accuracy_standard_error": (accuracy * (1 - accuracy) / len(right)) ** 0.5,
        "class_samples": samples,
        "log_p_of_any_class": torch.cat(log_p).mean().item(),
    }
