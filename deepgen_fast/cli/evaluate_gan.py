"""`deepgen-fast evaluate` of a GAN: its numbers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_ROWS = (
    ("spread", "mean distance of two generated examples, over that of two real ones; near 0: mode collapse"),
    ("distinctness", "the same of nearest neighbours; near 0: the same few come again and again"),
    (
        "discriminator_loss",
        "of the discriminator; 1.39 = 2 log 2 where it cannot tell (13.32), as often as there are levels",
    ),
    ("discriminator_real", "D(x): mean on real examples"),
    ("discriminator_fake", "D(G(z)): mean on generated examples"),
    ("discriminator_real_accuracy", "part of real examples taken for real"),
    ("discriminator_fake_accuracy", "part of generated examples taken for generated"),
    ("discriminator_accuracy", "part of examples whose class it tells right"),
    ("discriminator_categorical_information", "nats of the categorical code that can be read from what it makes"),
    ("discriminator_continuous_information", "the same of the continuous codes"),
)
_QUALITY_ROWS = (
    ("frechet_distance", "FID of {num_fake} samples and {num_real} images, in features of a classifier; 0 is best"),
    ("frechet_distance_of_training_images", "the same of as many training images: as near to 0 as so few come"),
    ("kernel_distance", "KID, the same without a bias from their number; 0 is best"),
    ("precision", "part of samples that lie among the data: fidelity"),
    ("recall", "part of the data that lies among samples: diversity"),
    ("density", "how deep samples lie among the data; 1 is as deep as data"),
    ("coverage", "part of the data with a sample nearby; 1 is best"),
    ("class_divergence", "KL of the classes of samples from those of the data, nats; 0 is best"),
    ("inception_score", "clear and various classes: 1 to their number"),
    ("classifier_accuracy", "of that classifier on the {num_real} images: what its view is worth"),
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
    table.caption = "A GAN has no density: its samples are judged, not its probability of the data."
    for name in sorted(name for name in values if name.startswith("discriminator_level_")):
        table.add_row(name.replace("_", " "), f"{values[name]:.3f}", "loss of one level of a pyramid; 0 is the finest")
    quality = values.get("quality", {})
    for name, meaning in _QUALITY_ROWS:
        if name in quality:
            table.add_row(name.replace("_", " "), f"{quality[name]:.3f}", meaning.format(**quality))
    if "class_counts" in quality:
        counts = " ".join(map(str, quality["class_counts"]))
        table.caption += f"\nSamples of each class, as the classifier sees them: {counts}"
    if "quality_not_measured" in values:
        table.caption += f"\nQuality of samples is not measured: {values['quality_not_measured']}."
    return table
