"""`deepgen-fast evaluate`: how well a trained model fits held-out data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepgen_fast.cli.arguments import Checkpoint, RunDirectory, Seed, SplitName

if TYPE_CHECKING:
    from rich.table import Table

Samples = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default="5000; of sentences 100",
        help="Samples of z per example for log p(x). The estimate rises towards the truth with their "
        "number; 5,000 is "
        "what papers report.",
    ),
]
Examples = Annotated[
    int,
    typer.Option(
        min=0,
        help="Examples for log p(x), spread over the split; 0 skips it. 500 of 784 pixels at 5,000 "
        "samples take "
        "about 20 s on two cores.",
    ),
]
Classify = Annotated[
    bool,
    typer.Option(
        "--classify",
        help="Classify the split by Bayes' rule, with the class frequencies of the training data and "
        "importance-weighted log p(x|y). For class-conditional models such as cvae.",
    ),
]
ClassSamples = Annotated[int, typer.Option(min=1, help="Samples of z per example and class, for --classify.")]
Quality = Annotated[
    bool | None,
    typer.Option(
        "--quality/--no-quality",
        show_default="where it can be measured",
        help="Measure the quality of a GAN's samples (FID, KID, precision, recall, classes) with a classifier trained "
        "on the run's data (some seconds, once per run). For small labeled images.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def evaluate(
    run: RunDirectory,
    split: SplitName = "test",
    samples: Samples = None,
    examples: Examples = 500,
    classify: Classify = False,
    class_samples: ClassSamples = 100,
    quality: Quality = None,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Report how well a trained model fits held-out data.

    Of a VAE: the ELBO split into reconstruction and KL, log p(x), bits per dimension and active units, in nats an
    example, averaged over the split. The ELBO bounds log p(x) from below; the importance-weighted estimate (Burda et
    al. 2016) lies between the two. Of a GAN: what its discriminator says of real and generated examples, how far
    generated ones lie apart beside real ones, and the quality of samples; --samples and --examples do not matter. Of a
    sentence VAE, perplexities a word beside the bound. The same seed gives the same numbers. They are also written to
    RUN/evaluation-SPLIT.json.

    Examples:

        deepgen-fast evaluate runs/digits

        deepgen-fast evaluate runs/digits --split validation --samples 500

        deepgen-fast evaluate runs/digits --examples 0 --json

        deepgen-fast evaluate runs/by-class --classify

        deepgen-fast evaluate runs/dcgan --no-quality
    """
    from rich.console import Console

    from deepgen_fast import runs
    from deepgen_fast.cli import evaluate_gan

    opened = runs.open(run, checkpoint)
    found = opened.evaluate(
        split,
        samples=samples,
        examples=examples,
        class_samples=class_samples if classify else None,
        quality=quality,
        seed=seed,
    )
    values = found.as_dict()
    path = opened.directory / f"evaluation-{split}.json"
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(values, indent=2))
    else:
        shown = evaluate_gan.table_of if opened.kind == "gan" else table_of
        Console().print(shown(values, f"{opened.directory}: {split} split"))


def table_of(values: dict[str, Any], title: str) -> Table:
    """The numbers of an evaluation as a table, with what each means."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning")

    def row(name: str, key: str, meaning: str, digits: int = 2) -> None:
        if values.get(key) is None:
            return
        error = values.get(f"{key}_standard_error")
        spread = "" if error is None else f" ± {error:.{digits}f}"
        table.add_row(name, f"{values[key]:.{digits}f}{spread}", meaning)

    # Of a class-conditional density everything is given the class.
    bar, comma = ("|y", ",y") if values.get("conditional") else ("", "")
    row("ELBO", "elbo", f"lower bound on log p(x{bar}), nats per example, over {values['examples']} examples")
    row("  reconstruction", "log_likelihood", f"E_q\\[log p(x|z{comma})]")
    row("  KL", "kl", f"KL(q(z|x{comma}) || p(z)): ELBO = reconstruction - KL")
    if "log_p" in values:
        row(
            f"log p(x{bar})",
            "log_p",
            f"importance-weighted, {values['log_p_samples']} samples, {values['log_p_examples']} examples",
        )
    row(
        "perplexity, bound", "perplexity_bound", "perplexity per word, an upper bound from the ELBO: exp(-ELBO / words)"
    )
    row("perplexity", "perplexity", "perplexity per word, from log p(x)")
    if values.get("bits_per_dimension", 0.0) is None:
        table.caption = (
            "Gray pixels under a Bernoulli: a training loss, not a log-probability of the data "
            "(train with --binarize stochastic for one)."
        )
    row("bits / dimension", "bits_per_dimension", "code length per pixel, from the line above", 3)
    if values["active_units"] is not None:
        table.add_row(
            "active units",
            f"{values['active_units']} of {values['latent_dim']}",
            "latents whose mean moves with x: variance above 0.01",
        )
    if "accuracy" in values:
        row(
            "accuracy",
            "accuracy",
            f"accuracy of Bayes' rule, by {values['class_samples']} samples of log p(x|y) per class",
            4,
        )
        row("log p(x)", "log_p_of_any_class", "log sum_y p(x|y) p(y), by the same samples")
    return table
