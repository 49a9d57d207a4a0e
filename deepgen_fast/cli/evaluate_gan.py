"""`deepgen-fast evaluate` of a GAN: its numbers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_ROWS = (
    ("spread", "mean distance between generated examples, relative to real ones; near 0: mode collapse"),
    ("distinctness", "mean distance to the nearest neighbor, relative to real examples; near 0: repeated samples"),
    ("discriminator_loss", "loss of the discriminator; 2 log 2 = 1.39 at chance, times the number of levels"),
    ("discriminator_real", "D(x): mean on real examples"),
    ("discriminator_fake", "D(G(z)): mean on generated examples"),
    ("discriminator_real_accuracy", "fraction of real examples taken for real"),
    ("discriminator_fake_accuracy", "fraction of generated examples taken for generated"),
    ("discriminator_accuracy", "fraction of examples whose class it predicts correctly"),
    (
        "discriminator_categorical_information",
        "mutual information of the categorical code and the samples, lower bound in nats",
    ),
    (
        "discriminator_continuous_information",
        "mutual information of the continuous codes and the samples, lower bound in nats",
    ),
)
_QUALITY_ROWS = (
    ("frechet_distance", "FID of {num_fake} samples and {num_real} images, in features of a classifier; 0 is best"),
    ("frechet_distance_of_training_images", "FID of as many training images: the floor at this sample size"),
    ("kernel_distance", "KID, unbiased by the sample size; 0 is best"),
    ("precision", "fraction of samples that lie among the data: fidelity"),
    ("recall", "fraction of the data that lies among samples: diversity"),
    ("density", "density of the data around samples; 1 is that of real images"),
    ("coverage", "fraction of the data with a sample nearby; 1 is best"),
    ("class_divergence", "KL divergence between the class frequencies of samples and data, nats; 0 is best"),
    ("inception_score", "Inception Score: 1 to the number of classes"),
    ("classifier_accuracy", "accuracy of that classifier on the {num_real} real images"),
)


def table_of(values: dict[str, Any], title: str) -> Table:
    """The numbers of an evaluation as a table, with what each means."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning")
    for name, meaning in _ROWS:
        if name in values:
            table.add_row(name.replace("_", " "), f"{values[name]:.3f}", meaning)
    table.caption = "A GAN has no density: its samples are evaluated, not its likelihood of the data."
    for name in sorted(name for name in values if name.startswith("discriminator_level_")):
        table.add_row(name.replace("_", " "), f"{values[name]:.3f}", "loss of one level of a pyramid; 0 is the finest")
    quality = values.get("quality", {})
    for name, meaning in _QUALITY_ROWS:
        if name in quality:
            table.add_row(name.replace("_", " "), f"{quality[name]:.3f}", meaning.format(**quality))
    if "class_counts" in quality:
        counts = " ".join(map(str, quality["class_counts"]))
        table.caption += f"\nSamples per class, by the classifier: {counts}"
    if "quality_not_measured" in values:
        table.caption += f"\nQuality of samples is not measured: {values['quality_not_measured']}."
    return table
