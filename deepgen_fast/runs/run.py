"""A trained run, opened for use: ``run = runs.open("runs/digits")``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from deepgen_fast.data import DatasetSplits
from deepgen_fast.example import Example
from deepgen_fast.metrics import latent_means
from deepgen_fast.runs import sentences
from deepgen_fast.runs.adversarial import GANEvaluation, evaluate_gan
from deepgen_fast.runs.data import load_run_data
from deepgen_fast.runs.density import DensityEvaluation, check_classifier, evaluate_density
from deepgen_fast.runs.errors import RunError
from deepgen_fast.runs.examples import some_examples, split_examples
from deepgen_fast.runs.latents import decoded, draw_values, latent_paths
from deepgen_fast.runs.stored import read_config, read_model
from deepgen_fast.systems import RunConfig, system_named
from deepgen_fast.training.machine.devices import resolve_device


@dataclass
class Run:
    """A trained model and where it came from.

    Attributes:
        directory: of the run.
        model: with trained weights, in eval mode.
        config: everything that decided the run.
        step, epoch: what the model was trained for.
        checkpoint: where the weights were read.
    """

    directory: Path
    model: Any
    config: RunConfig
    step: int
    epoch: int
    checkpoint: Path

    @property
    def kind(self) -> str:
        """What the model is: ``"vae"``, ``"gan"``; see ``Trainer.kind``."""
        return system_named(self.config.system).trainer.kind

    @property
    def of_sentences(self) -> bool:
        """Whether its examples are sentences."""
        return system_named(self.config.system).of_sentences

    @cached_property
    def data(self) -> DatasetSplits:
        """The data of the run, loaded when first asked for."""
        return load_run_data(self.config)

    @cached_property
    def data_with_all_labels(self) -> DatasetSplits:
        """``data`` with the labels that training may not use, too: they measure, and teach nothing."""
        kept_back = system_named(self.config.system).semi_supervised
        return load_run_data(self.config, all_labels=True) if kept_back else self.data

    @property
    def figures(self) -> Path:
        """Where pictures of this run go unless told otherwise."""
        return self.directory / "figures"

    def sample(self, count: int, *, seed: int = 0, label: int | None = None, draw: bool = False) -> Tensor | list[str]:
        """New examples: z from the prior, and E[x|z] or x = G(z).

        Args:
            count: how many.
            seed: of the noise.
            label: of a model with classes (or a categorical code): this one, not each in turn.
            draw: x ~ p(x|z) of a VAE, which is noisy, in place of the mean; of sentences, words drawn in place of
                the likeliest.

        Returns:
            ``[count, *event]``; of a model of sentences, their texts.

        Raises:
            RunError: for a label or ``draw`` that the model does not have, or a ``count`` of more samples than there
                are test examples to condition them on.
        """
        self._check_sampling(label, draw)
        if self.of_sentences:
            return sentences.sampled(self, count, seed, draw)
        return draw_values(self, count, seed, draw, label)

    def _check_sampling(self, label: int | None, draw: bool) -> None:
        if draw and self.kind != "vae":
            raise RunError(f"a {self.config.system} has no p(x|z) to draw from", "draw")
        if label is None:
            return
        if self.model.num_conditions is None:
            raise RunError(f"a {self.config.system} has no classes to choose from", "label")
        if not 0 <= label < self.model.num_classes:
            raise RunError(f"expected 0 to {self.model.num_classes - 1}, got {label}", "label")

    def reconstruct(self, count: int = 40, *, split: str = "test") -> tuple[Example, Tensor]:
        """Examples of a split, spread over it, and E[x|z] of each at z = E[z|x]: ``[count, *event]`` each.

        Raises:
            RunError: the model has no encoder, or the data no such split.
        """
        self.check_encoder()
        x = some_examples(self, split, count)
        return x, self.model.reconstruct(x)

    def interpolate(
        self, rows: int = 8, steps: int = 10, *, seed: int = 0, between: str = "samples"
    ) -> Tensor | list[list[str]]:
        """What lies between pairs of latents: along great circles where the prior is normal, straight lines where it is
        uniform; between sentences straight lines.

        Args:
            rows: number of paths.
            steps: examples on each, its ends included.
            seed: of the ends, where they are drawn.
            between: ``"samples"`` of the prior, or ``"examples"`` of the test split.

        Returns:
            ``[rows, steps, *event]``; of a model of sentences, a list of texts for each path.

        Raises:
            RunError: for examples where the model has no encoder, or more of them than there are.
        """
        self._check_ends(between)
        if self.of_sentences:
            z = latent_paths(self, rows, steps, seed, between, spherical=False)
            return sentences.paths(self, z, steps)
        values = decoded(self, latent_paths(self, rows, steps, seed, between, spherical=self.has_normal_prior))
        return values.unflatten(0, (rows, steps))

    def _check_ends(self, between: str) -> None:
        if between not in ("samples", "examples"):
            raise RunError(f"expected samples or examples, got {between!r}", "between")
        if between == "examples":
            self.check_encoder()

    @property
    def has_normal_prior(self) -> bool:
        """Whether z is normal; of some GANs it is uniform."""
        return bool(self.model.prior == "normal")

    def latents(self, split: str = "test") -> Tensor:
        """E[z|x] of a split's examples: ``[N, latent_dim]``.

        Raises:
            RunError: the model has no encoder, or the data no such split.
        """
        self.check_encoder()
        return latent_means(self.model, split_examples(self, split))

    def evaluate(
        self,
        split: str = "test",
        *,
        samples: int | None = None,
        examples: int = 500,
        class_samples: int | None = None,
        quality: bool | None = None,
        seed: int = 0,
    ) -> DensityEvaluation | GANEvaluation:
        """How well the model fits a split; the same seed gives the same numbers.

        Args:
            split: ``"train"``, ``"validation"`` or ``"test"``.
            samples, examples: of a density, for log p(x): samples of z an example (5,000 if None; of sentences 100),
                and examples, spread over the split; 0 leaves log p(x) out.
            class_samples: of a class-conditional density: also classify the split by Bayes' rule, with so many samples
                of z an example and class.
            quality: of a GAN of small labeled images: whether to measure the quality of samples with a classifier that
                is trained on the run's data (once a run); None where it can be measured.
            seed: of the noise.

        Raises:
            RunError: for what the model does not have, or the data no such split.
        """
        if class_samples is not None:
            check_classifier(self)
        if self.kind == "gan":
            return evaluate_gan(self, split, seed=seed, quality=quality)
        if quality:
            raise RunError(f"of the samples of a GAN; {self.directory} is a {self.config.system}", "quality")
        return evaluate_density(self, split, samples=samples, examples=examples, class_samples=class_samples, seed=seed)

    def check_encoder(self) -> None:
        """Raise RunError where the model has no encoder."""
        if self.kind != "vae":
            raise RunError(f"{self.directory}: a {self.config.system} has no encoder; this needs a VAE")

    # Pictures, as the command line draws them.

    def draw_samples(
        self, path: Path | None = None, *, count: int = 100, seed: int = 0, label: int | None = None, draw: bool = False
    ) -> Path:
        """Write a grid of new examples, with a column for each class where there are several; see ``sample``."""
        self._check_sampling(label, draw)
        from deepgen_fast.runs import pictures

        return pictures.draw_samples(self, count, seed, path or self.figures / "samples.png", draw, label)

    def draw_reconstructions(self, path: Path | None = None, *, count: int = 40, split: str = "test") -> Path:
        """Write examples of a split above their reconstructions."""
        self.check_encoder()
        path = path or self.figures / f"reconstructions-{split}.png"
        from deepgen_fast.runs import pictures

        return pictures.draw_reconstructions(self, split, count, path)

    def draw_interpolation(
        self, path: Path | None = None, *, rows: int = 8, steps: int = 10, seed: int = 0, between: str = "samples"
    ) -> Path:
        """Write a grid with a row for each path of ``interpolate``."""
        self._check_ends(between)
        path = path or self.figures / "interpolation.png"
        from deepgen_fast.runs import pictures

        return pictures.draw_paths(self, rows, steps, seed, path, between)

    def draw_latent_plane(
        self, path: Path | None = None, *, split: str = "train", dims: tuple[int, int] | None = None
    ) -> Path:
        """Write where E[z|x] of a split lie, colored by class: two latents (counted from 0), or the plane of the two
        principal components."""
        self.check_encoder()
        from deepgen_fast.runs import pictures

        return pictures.draw_plane(self, split, dims, path or self.figures / "latent_plane.png")

    def draw_manifold(self, path: Path | None = None, *, side: int = 20, label: int | None = None) -> Path:
        """Write what the unit square, taken to z through the normal quantile function, decodes to; of 2-D latents."""
        self.check_encoder()
        name = "manifold.png" if label is None else f"manifold-{label}.png"
        from deepgen_fast.runs import pictures

        return pictures.draw_manifold(self, side, path or self.figures / name, label)


def open(directory: str | Path, checkpoint: str | Path = "best", *, weights: str = "auto", device: str = "cpu") -> Run:
    """Read config and weights of a run directory; the model is in eval mode.

    Args:
        directory: of the run.
        checkpoint: ``"best"`` by validation loss (the latest, where there was no validation), ``"last"``, or
            the name or path of one.
        weights: ``"auto"`` takes the averaged weights where the run kept them (validation and the choice of
            the best used these); ``"ema"`` insists on them; ``"raw"`` takes the optimizer's own.
        device: where the model goes; ``"auto"`` takes a GPU where there is one.

    Raises:
        RunError: when the directory holds no run; for unknown ``weights``.
        ConfigError: when its config is damaged.
        CheckpointError: when there is no such checkpoint, it is damaged, or holds no averaged weights.
        ValueError: for an unknown device.
    """
    directory = Path(directory)
    config = read_config(directory)
    model, state, path = read_model(directory, config, checkpoint, weights)
    return Run(directory, model.to(resolve_device(device)).eval(), config, state.step, state.epoch, path)
