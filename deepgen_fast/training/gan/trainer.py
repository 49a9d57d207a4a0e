"""The trainer of GANs: Algorithm 13.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.config.gan import GANTrainerConfig
from deepgen_fast.config.sections import ConfigError
from deepgen_fast.data import Batches, LabeledExamples, LoaderBatches
from deepgen_fast.data.checks import check_unit_range
from deepgen_fast.metrics.diversity import comparable, diversity
from deepgen_fast.models import GAN, AdversarialModel, check_model, is_image
from deepgen_fast.nn import ReferenceBatch, synchronized_batch_norm, unsynchronized
from deepgen_fast.objectives import AdversarialObjective, GANObjective, event_of
from deepgen_fast.random import BatchNoise
from deepgen_fast.training.callback import Callback
from deepgen_fast.training.gan.diagnosis import remarks
from deepgen_fast.training.gan.discriminator_metrics import DiscriminatorMetrics, evaluate_discriminator
from deepgen_fast.training.gan.figures import draw_balance
from deepgen_fast.training.gan.historical_average import HistoricalAverage
from deepgen_fast.training.gan.player import Player
from deepgen_fast.training.machine.precision import build_precision
from deepgen_fast.training.report.image_grid import image_grid, save_image_grid
from deepgen_fast.training.report.progress import Summary
from deepgen_fast.training.report.tensorboard_log import TensorBoardLog
from deepgen_fast.training.state.checkpoint import Checkpoint, CheckpointError, tensors_under
from deepgen_fast.training.state.ema import ExponentialMovingAverage
from deepgen_fast.training.state.position import TrainingResult
from deepgen_fast.training.state.run_directory import RunDirectory
from deepgen_fast.training.state.seeds import reseed
from deepgen_fast.training.trainer import ConfigText, Trainer

_GRID_ROWS = 8  # of a grid of samples; and columns, where samples come in no cycle
_COMPARED = 128  # examples among which distances are taken

Metrics = Callable[[Any], dict[str, float]]


class GANTrainer(Trainer):
    """Trains a GAN by Algorithm 13.1: K steps of the discriminator, then one of the generator, each with an Adam.

    A step is one batch of real examples, so one of the discriminator; every K-th moves the generator after it. By
    default the generator learns from the very examples that the discriminator has just seen: one pass of the generator
    serves both, with its graph kept for the second and cut for the first (``generator_noise="fresh"`` draws new ones,
    as the algorithm is printed). In the generator's step the discriminator's weights are frozen: gradients go through
    it, none are made for it.

    Args:
        model: a ``GAN``, or one of the systems built on it; trained in place.
        objective: ``AdversarialObjective()`` when None.
        config: settings; ``GANTrainerConfig()`` when None.
        run_directory: where config, metrics, checkpoints, pictures and TensorBoard files go; None writes
            nothing.
        config_text: the text of ``config.toml``, given the settings: all that ``runs.open`` and ``resume`` need to
            rebuild the run from its directory.
        metrics: measures the model, at rest and with averaged weights, at every validation: ``{name: number}`` for the
            epoch's record; ``monitor`` may name one.
        callbacks: called as the run goes; see ``Callback``.
        overrides: fields of ``GANTrainerConfig``, over ``config``'s: ``GANTrainer(model, discriminator_steps=5)``.

    Raises:
        ConfigError: for an unknown or wrong setting; for feature matching without a ``feature_layer`` to match.
        ValueError: for a device that this machine does not have.
    """

    settings_class = GANTrainerConfig
    kind = "gan"

    def __init__(
        self,
        model: GAN,
        objective: GANObjective | None = None,
        config: GANTrainerConfig | None = None,
        *,
        run_directory: str | Path | None = None,
        config_text: ConfigText | None = None,
        metrics: Metrics | None = None,
        callbacks: Sequence[Callback] = (),
        **overrides: Any,
    ) -> None:
        check_model(model, AdversarialModel)
        super().__init__(model, config, run_directory, config_text, overrides, callbacks)
        self.objective = AdversarialObjective() if objective is None else objective
        if self.objective.feature_matching and self.model.feature_layer is None:
            who = type(self.model).__name__
            raise ConfigError(f"objective.feature_matching: needs a feature_layer, and a {who} has none")
        self.metrics = metrics
        settings: Any = self.config
        self.monitor = settings.monitor or "none"
        rate = (settings.discriminator_learning_rate or settings.learning_rate) / settings.learning_rate
        self.generator = Player(self.model.generator_parameters(), 1.0, settings, self.processes)
        self.discriminator = Player(self.model.discriminator_parameters(), rate, settings, self.processes)
        self.optimizers = {
            "generator_optimizer": self.generator.optimizer,
            "discriminator_optimizer": self.discriminator.optimizer,
        }
        if settings.ema_decay is not None:
            self.ema = ExponentialMovingAverage(self.model, settings.ema_decay, self.averaged_tensors(self.model))
        # Data are often sorted by class, and batch norm tells a batch of one class apart.
        self.evaluation_order = torch.Generator()
        self.semi_supervised = self.objective.semi_supervised
        self._player_metrics = DiscriminatorMetrics(
            self.objective.parts_of(self.model), self.objective.threshold, self.device
        )
        self._beside = torch.empty(0)
        self._reference: Tensor | None = None
        self._labeled: LabeledExamples | None = None

    def fit(self, *data: Any, **options: Any) -> TrainingResult:
        """As ``Trainer.fit``; batch norms see the rows of all processes where the settings say so."""
        settings: Any = self.config
        if self.processes.alone or settings.batch_norm == "per_process":
            return super().fit(*data, **options)
        with synchronized_batch_norm(self.model):
            return super().fit(*data, **options)

    @classmethod
    def averaged_tensors(cls, model: Any) -> Mapping[str, Tensor]:
        """Of the generator: weights, and the floating buffers that go with them."""
        return model.generator_state()

    @property
    def evaluation_batch(self) -> int:
        """As in training: batch norm tells batches of another size apart."""
        return self.config.batch_size

    def check_early_stopping(self, validation: Any) -> None:
        """A GAN's losses say nothing of its samples, so a metric must."""
        if self.monitor == "none":
            raise ConfigError("trainer.early_stopping: needs trainer.monitor, the metric to stop by; a GAN has no loss")

    def check_values(self, examples: Tensor, name: str) -> None:
        """A generator that ends in tanh or sigmoid makes values in [0, 1]."""
        if self.model.output != "linear":
            who = f"a generator that ends in {self.model.output}"
            check_unit_range(examples, name=name, who=who, otherwise="output='linear'")

    def prepare(self, batches: Batches) -> None:
        """Make the copy of the networks that computes, and pick the real examples to normalize by, to compare with and
        to learn labels from."""
        discriminator: Any = self.model.discriminator
        if isinstance(discriminator, ReferenceBatch):
            examples = _some_examples(batches, len(discriminator.reference))
            discriminator.set(self.model.from_data(examples.to(self.device)))
        self._precision = build_precision(self.config.precision, self.model)
        self._labeled = LabeledExamples(batches) if self.semi_supervised else None
        self._beside = _some_examples(batches, _COMPARED).to(self.device)
        reference = self.model.to_data(self.model.from_data(self._beside))
        self._reference = reference if comparable(reference) else None

    def _histories(self) -> dict[str, HistoricalAverage]:
        players = {"generator_history": self.generator, "discriminator_history": self.discriminator}
        return {name: player.history for name, player in players.items() if player.history is not None}

    def checkpoint(self) -> Checkpoint:
        """As ``Trainer``, with the histories of the players' weights where the settings ask for them."""
        checkpoint = super().checkpoint()
        for prefix, history in self._histories().items():
            checkpoint.training.update({f"{prefix}.{name}": value for name, value in history.state_dict().items()})
        return checkpoint

    def check_numbers(self, checkpoint: Checkpoint) -> None:
        """Check the counts of the histories, which are divided by."""
        for prefix in self._histories():
            count = int(checkpoint.training[f"{prefix}.count"])
            if count < 1:
                raise CheckpointError(
                    f"damaged: training.safetensors: {prefix}.count: expected at least 1, found {count}"
                )

    def restore(self, checkpoint: Checkpoint) -> None:
        """As ``Trainer``, and the histories."""
        super().restore(checkpoint)
        for prefix, history in self._histories().items():
            history.load_state_dict(tensors_under(prefix, checkpoint.training))

    def refresh(self) -> None:
        """Hand restored weights on to the copy that computes."""
        self._precision.refresh()

    # What the loop asks for.

    def training_step(self, batch: Any, step: int, learning_rate: float) -> Tensor:
        """One step of the discriminator and, at every K-th, one of the generator; the discriminator's loss."""
        config: Any = self.config
        precision, objective = self._precision, self.objective
        model = precision.forward_model
        whole, rows = self.rows_of(step)
        count = len(event_of(batch))
        share = count / whole
        generator = reseed(self._noise, config.seed, "step", step)
        noise = BatchNoise(generator, None if self.processes.alone else (whole, rows))
        generator_moves = (step + 1) % config.discriminator_steps == 0
        reuse = generator_moves and config.generator_noise == "reuse"
        real = model.from_data(batch)
        latent = model.draw_latent(count, noise, real)
        with torch.set_grad_enabled(reuse):
            fake = model.generate(latent)
        labeled: dict[str, Any] = {}
        if self._labeled:
            # As many as the batch has, so that a process's part of them is its part of the batch.
            labeled["labeled"] = model.from_data(self._labeled.draw(count, noise))
        loss = objective.discriminator_loss(model, real, fake, step=step, noise=noise, **labeled)
        added = self.processes.sum(self._player_metrics.of_discriminator(loss))
        mean = self._player_metrics.discriminator_loss(added)
        self._look(mean, "the discriminator's loss", step)
        self.discriminator.move(loss.value, precision, learning_rate, share)
        if generator_moves:
            with _frozen(precision, self.discriminator):
                if not reuse:
                    latent = model.draw_latent(count, noise, real)
                    fake = model.generate(latent)
                turn = step // config.discriminator_steps
                loss = objective.generator_loss(model, fake, real=real, latent=latent, step=turn, noise=noise)
                generated = self.processes.sum(self._player_metrics.of_generator(loss))
                self._look(self._player_metrics.generator_loss(generated), "the generator's loss", step)
                self.generator.move(loss.value, precision, learning_rate, share)
            added = added + generated
            if self.ema is not None:
                self.ema.update(turn)
        self._player_metrics.sums += added
        return mean

    def _look(self, loss: Tensor, what: str, step: int) -> None:
        if self.check_now(step):
            self.check_finite(loss, what, step, late=self._finite_check_steps > 1)

    def epoch_sums(self) -> Tensor:
        """See ``DiscriminatorMetrics``."""
        return self._player_metrics.sums

    def epoch_record(self, num_examples: int) -> dict[str, float]:
        """Means over the epoch: both losses, D(x) and D(G(z)), right answers, logits, penalties."""
        record = self._player_metrics.record()
        if "generator_loss" in record:
            generated = torch.tensor(record["generator_loss"])
            self.check_finite(generated, "the generator's loss", self.position.step - 1, late=True)
        return record

    def validate(self) -> dict[str, float]:
        """Diversity of what is generated; the discriminator on held-out data, where there are some; ``metrics``."""
        with unsynchronized():  # process 0 does it alone
            return self._validate_alone()

    def _validate_alone(self) -> dict[str, float]:
        found: dict[str, float] = {}
        with self.evaluated_model() as model:
            if self._reference is not None:
                generated = self._samples(model, len(self._reference))
                found.update(diversity(generated, self._reference)._asdict())
            if self.metrics is not None:
                found.update(self.metrics(model))
        if self._validation is not None:
            assert self.evaluation_order is not None
            reseed(self.evaluation_order, self.config.seed, "validation order")
            noise = BatchNoise(reseed(self._noise, self.config.seed, "validation"))
            judged = evaluate_discriminator(self.model, self.objective, self._validation.epoch(), noise)
            found.update({f"validation_{name}": value for name, value in judged.items()})
        if self.monitor not in ("none", *found):
            raise ConfigError(f"trainer.monitor: no metric {self.monitor!r}; there are {', '.join(found)}")
        return found

    def _samples(self, model: Any, count: int) -> Tensor:
        """Examples as data, at the same z every time; beside real ones no more than these."""
        noise = BatchNoise(reseed(self._noise, self.config.seed, "samples"))
        if model.conditioned:
            return model.decode(model.sample_latents_like(self._beside[:count], noise))
        return model.decode(model.draw_latent(count, noise))

    def summarize(self, record: dict[str, Any]) -> Summary:
        """Both losses, and D of real and generated examples."""
        generator = f"{record['generator_loss']:.2f}" if "generator_loss" in record else "-"
        losses = f"D {record['discriminator_loss']:.2f} G {generator}"
        real, fake = record["discriminator_real"], record["discriminator_fake"]
        spread = f"  spread {record['spread']:.2f}" if "spread" in record else ""
        best = f"  {self.monitor} {record[self.monitor]:.4g}" if self.monitor in record else ""
        best += "*" if record.get("best") else ""
        line = (
            f"{losses}  D(x) {real:.2f} D(G(z)) {fake:.2f}{spread}{best}  "
            f"{record['examples_per_second']:.0f} examples/s"
        )
        return Summary(line, losses + best)

    def remarks(self, records: list[dict[str, Any]]) -> list[str]:
        """Mode collapse, a player that wins: said when it begins and when it is over."""
        return remarks(records)

    def write_samples(self, directory: Path, epoch: int, tensorboard: TensorBoardLog | None) -> None:
        """A grid of samples at the same z every time."""
        if not is_image(self.model.event_shape):
            return
        directory.mkdir(exist_ok=True)
        columns = self.model.num_conditions or _GRID_ROWS
        with self.evaluated_model() as model:
            images = self._samples(model, _GRID_ROWS * columns)
        save_image_grid(images, directory / f"samples-{epoch:05d}.png", columns)
        if tensorboard is not None:
            tensorboard.image("samples", image_grid(images, columns), self.position.step)

    def finish(self, directory: RunDirectory) -> None:
        """Curves of the whole run, in ``figures/training.png``."""
        try:
            draw_balance(self.history, directory.path / "figures" / "training.png")
        except ImportError:
            self._progress.message("The curves are not drawn: the package matplotlib is not installed")


class _frozen:
    """Within this, a player's parameters take part in what is computed but get no gradients."""

    def __init__(self, precision: Any, player: Player) -> None:
        self._precision = precision
        self._parameters = player.parameters

    def __enter__(self) -> None:
        self._precision.require_grad(self._parameters, False)

    def __exit__(self, *error: Any) -> None:
        self._precision.require_grad(self._parameters, True)


def _some_examples(batches: Batches, count: int) -> Tensor:
    """At most ``count`` examples as floats: at even distances in memory, else the first, which are quick to read."""
    count = min(count, batches.num_examples)
    if isinstance(batches, LoaderBatches):
        return next(iter(LoaderBatches(batches.dataset, count, shuffle=False)))
    examples = batches.preview()
    chosen = examples[torch.arange(count, device=examples.device) * len(examples) // count]
    return chosen.float() / 255.0 if chosen.dtype == torch.uint8 else chosen
