"""How good a GAN is: what its discriminator says, how diverse its samples are, and their quality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from deepgen_fast.data import make_batches
from deepgen_fast.metrics.diversity import comparable, diversity
from deepgen_fast.random import BatchNoise
from deepgen_fast.runs.data import examples_of, labels_of
from deepgen_fast.runs.errors import RunError
from deepgen_fast.runs.examples import some_examples, split_named
from deepgen_fast.runs.sample_quality import measure_quality, unsupported_reason
from deepgen_fast.systems import system_named
from deepgen_fast.training.gan.discriminator_metrics import evaluate_discriminator

if TYPE_CHECKING:
    from deepgen_fast.runs.run import Run

_COMPARED = 256  # examples among which distances are taken


@dataclass(frozen=True)
class GANEvaluation:
    """Numbers of a GAN on one split.

    Attributes:
        split, seed: what was measured, and the seed of what was generated.
        discriminator: losses and probabilities of the discriminator, by name.
        spread, distinctness: distances among generated examples over those among real ones, of ``compared`` of each;
            None where they cannot be compared.
        quality: distances, fidelity, diversity and classes of samples, measured by a classifier; None where it was not
            measured, and then ``quality_not_measured`` says why, if it was asked for.
    """

    split: str
    seed: int
    discriminator: dict[str, float] = field(default_factory=dict)
    spread: float | None = None
    distinctness: float | None = None
    compared: int | None = None
    quality: dict[str, Any] | None = None
    quality_not_measured: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values by name, without what was not measured."""
        values = {"split": self.split, "seed": self.seed, **self.discriminator}
        for name in ("spread", "distinctness", "compared", "quality", "quality_not_measured"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        return values


def evaluate_gan(run: Run, split: str, *, seed: int, quality: bool | None = None) -> GANEvaluation:
    """Every number of a run on one of its splits.

    Args:
        run: of a GAN.
        split: its name.
        seed: of what is generated.
        quality: whether to measure the quality of samples; None where it can be measured, and what is missing is then
            said.

    Raises:
        RunError: it was asked for and cannot be measured.
    """
    model, config = run.model, run.config
    system, data = system_named(config.system), split_named(run.data, split)
    # Of the size and mixture of training's: batch norm tells others apart.
    batches = make_batches(
        examples_of(data),
        config.trainer.batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
        num_workers=config.data.num_workers,
        labels=labels_of(system, data, run.data.name),
    ).epoch()
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Any] = {
        "discriminator": evaluate_discriminator(
            model, system.build_objective(config.objective), batches, BatchNoise(generator)
        )
    }
    real = some_examples(run, split, _COMPARED)
    seen = model.to_data(model.from_data(real))  # as large as what is generated: one level of a pyramid, in some models
    if comparable(seen):
        values |= diversity(model.decode(model.sample_latents_like(real, BatchNoise(generator))), seen)._asdict()
        values["compared"] = len(real)
    if quality is not False:
        values |= _quality(run, split, seed, required=quality is True)
    return GANEvaluation(split, seed, **values)


def _quality(run: Run, split: str, seed: int, *, required: bool) -> dict[str, Any]:
    reason = unsupported_reason(run, split)
    if reason is None:
        return {"quality": measure_quality(run, split, seed=seed)}
    if required:
        raise RunError(reason, "quality")
    return {"quality_not_measured": reason}
