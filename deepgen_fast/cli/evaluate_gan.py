"""`deepgen-fast evaluate` of a GAN: what its discriminator says, and how diverse its examples are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from deepgen_fast.cli.runs import Run

_COMPARED = 256  # examples among which distances are taken


def measure(run: Run, split: str, *, seed: int) -> dict[str, Any]:
    """Every number of a run on one of its splits."""
    import torch

    from deepgen_fast.cli.runs import some_examples, split_named
    from deepgen_fast.data import make_batches
    from deepgen_fast.metrics.diversity import comparable, diversity
    from deepgen_fast.random import BatchNoise
    from deepgen_fast.trainers import system_named
    from deepgen_fast.trainers.balance import judge
    from deepgen_fast.trainers.run import examples_of, labels_of

    model, config = run.model, run.config
    system, data = system_named(config.system), split_named(run.data, split)
    objective = system.build_objective(config.objective)
    labels = labels_of(system, data, run.data.name)
    # Of the size and mixture of training's: batch norm tells others apart.
    batches = make_batches(
        examples_of(data),
        config.trainer.batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
        num_workers=config.data.num_workers,
        labels=labels,
    ).epoch()
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Any] = {"split": split, "seed": seed}
    values |= judge(model, objective, batches, BatchNoise(generator))
    real = some_examples(run, split, _COMPARED)
    seen = model.to_data(model.from_data(real))  # as large as what is generated: one level of a pyramid, in some models
    if comparable(seen):
        values |= diversity(model.decode(model.draw_beside(real, BatchNoise(generator))), seen)._asdict()
        values["compared"] = len(real)
    return values


_ROWS = (
    ("spread", "mean distance of two generated examples, over that of two real ones; near 0: mode collapse"),
    ("distinctness", "the same of nearest neighbours; near 0: the same few come again and again"),
    ("discriminator_loss", "of the discriminator; 1.39 = 2 log 2 where it cannot tell (13.32)"),
    ("discriminator_real", "D(x): mean on real examples"),
    ("discriminator_fake", "D(G(z)): mean on generated examples"),
    ("discriminator_real_accuracy", "part of real examples taken for real"),
    ("discriminator_fake_accuracy", "part of generated examples taken for generated"),
    ("discriminator_accuracy", "part of examples whose class it tells right"),
    ("discriminator_categorical_information", "nats of the categorical code that can be read from what it makes"),
    ("discriminator_continuous_information", "the same of the continuous codes"),
)


def table_of(values: dict[str, Any], title: str) -> Table:
    """The numbers of measure() as a table, with what each means."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning")
    for name, meaning in _ROWS:
        if name in values:
            table.add_row(name.replace("_", " "), f"{values[name]:.3f}", meaning)
    table.caption = "A GAN has no density: its samples are judged, not its probability of the data."
    return table
