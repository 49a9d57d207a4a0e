"""The trainer of VAEs, and of other models with a bound on log p(x)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepgen_fast.config.sections import TrainerConfig
from deepgen_fast.data import Batches, binarize
from deepgen_fast.data.checks import check_unit_range
from deepgen_fast.example import Example, event_of, rows_of, with_event
from deepgen_fast.models import VariationalModel, check_model
from deepgen_fast.objectives import ELBO, Objective
from deepgen_fast.training.callback import Callback
from deepgen_fast.training.machine.precision import build_precision
from deepgen_fast.training.report.image_grid import image_grid, save_image_grid
from deepgen_fast.training.report.tensorboard_log import TensorBoardLog
from deepgen_fast.training.state.adam import build_adam
from deepgen_fast.training.state.ema import ExponentialMovingAverage
from deepgen_fast.training.state.seeds import reseed
from deepgen_fast.training.trainer import ConfigText, Trainer

_SHOWN = 8  # held-out examples


class VAETrainer(Trainer):
    """Trains a VAE with Adam.

    Batches are tensors ``[B, *event]``, or with labels pairs; the objective hands them on to the model, which decides
    what it is called with.

    Args:
        model: trained in place: a ``VAE``, or another ``VariationalModel`` that has what the objective calls.
        objective: ``ELBO()`` when None.
        config: settings; ``TrainerConfig()`` when None.
        run_directory: where config, metrics, checkpoints, pictures and TensorBoard files go; None writes
            nothing.
        config_text: the text of ``config.toml``, given the settings: all that ``runs.open`` and ``resume`` need to
            rebuild the run from its directory. A model built in code has none; then only the trainer's settings are
            written, to ``trainer.toml``.
        binarize: how training pixels become binary at each step: ``"none"``, ``"threshold"`` or ``"stochastic"``.
            Labels and whatever else stands beside the pixels stay.
        callbacks: called as the run goes; see ``Callback``.
        overrides: fields of ``TrainerConfig``, over ``config``'s: ``VAETrainer(model, epochs=3)``.

    Raises:
        ConfigError: for an unknown or wrong setting.
        ValueError: for a device that this machine does not have.
    """

    kind = "vae"

    def __init__(
        self,
        model: nn.Module,
        objective: Objective | None = None,
        config: TrainerConfig | None = None,
        *,
        run_directory: str | Path | None = None,
        config_text: ConfigText | None = None,
        binarize: str = "none",
        callbacks: Sequence[Callback] = (),
        **overrides: Any,
    ) -> None:
        check_model(model, VariationalModel)
        super().__init__(model, config, run_directory, config_text, overrides, callbacks)
        self.objective = objective if objective is not None else ELBO()
        self.binarize = binarize
        self._sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimizer = build_adam(self._parameters, self.config, self.device)
        self.optimizers = {"optimizer": self._optimizer}
        if self.config.ema_decay is not None:
            self.ema = ExponentialMovingAverage(model, self.config.ema_decay, self.averaged_tensors(model))

    def prepare(self, batches: Batches) -> None:
        """Make the copy of the networks that computes, where the precision asks for one."""
        self._precision = build_precision(self.config.precision, self.model)

    def refresh(self) -> None:
        """Hand restored weights on to the copy that computes."""
        self._precision.refresh()

    def check_examples(self, examples: Tensor, name: str) -> None:
        """The model says what it takes; and only values in [0, 1] can be drawn from."""
        self.model.check_data(examples, name)
        if self.binarize == "stochastic" and examples.is_floating_point():
            check_unit_range(examples, name=name, who="binarize='stochastic'", otherwise="binarize='threshold'")

    def _binary(self, batch: Example, generator: torch.Generator) -> Example:
        return with_event(batch, binarize(event_of(batch), self.binarize, generator))

    # What the loop asks for.

    def training_step(self, batch: Example, step: int, learning_rate: float) -> Tensor:
        """Forward, backward, clip, Adam, average."""
        precision, processes = self._precision, self.processes
        # Each process has noise of its own: its examples would else share that of the first process's.
        purpose = "step" if processes.alone else f"step/{processes.rank}"
        generator = reseed(self._noise, self.config.seed, purpose, step)
        x = self._binary(batch, generator)
        count = len(event_of(x))
        precision.zero_grad()
        value, log_likelihood, kl = self.objective(precision.forward_model, x, step=step, generator=generator)
        loss = value.detach()
        sums = torch.stack([loss.double() * count, log_likelihood.sum().double(), kl.sum().double()])
        if not processes.alone:
            loss = processes.sum(sums)[0] / self.rows_of(step)[0]
        if self.check_now(step):
            self.check_finite(loss, "loss", step, late=self._finite_check_steps > 1)
        (value if processes.alone else value * (count / self.rows_of(step)[0])).backward()
        precision.collect_gradients()
        processes.sum_gradients(self._parameters)
        if self.config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self.config.gradient_clip)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        precision.refresh()
        if self.ema is not None:
            self.ema.update(step)
        self._sums += sums
        return loss

    def epoch_sums(self) -> Tensor:
        """Sums of loss, log p(x|z) and KL over the examples of the running epoch."""
        return self._sums

    def epoch_record(self, num_examples: int) -> dict[str, float]:
        """Means over the epoch, as the weights changed; and beta at its last step."""
        seen = self.steps_per_epoch * self.config.batch_size if self.config.drop_last else num_examples
        loss, log_likelihood, kl = (self._sums / seen).tolist()
        return {
            "beta": self.objective.beta_at(self.position.step - 1),
            "train_loss": loss,
            "train_log_likelihood": log_likelihood,
            "train_kl": kl,
        }

    def validate(self) -> dict[str, float] | None:
        """Loss, log p(x|z) and KL on the validation set, with the averaged weights where the run keeps them.

        The noise is the same at every call, so that epochs differ by the weights alone; beta is 1 and there
        are no free bits.
        """
        batches = self._validation
        if batches is None:
            return None
        objective = self.objective.for_validation()
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        generator = reseed(self._noise, self.config.seed, "validation")
        with self.evaluated_model() as model:
            for batch in batches.epoch():
                x = self._binary(batch, generator)
                value, log_likelihood, kl = objective(model, x, generator=generator)
                total = value.double() * len(event_of(x))
                sums += torch.stack([total, log_likelihood.sum().double(), kl.sum().double()])
        loss, log_likelihood_mean, kl_mean = (sums / batches.num_examples).tolist()
        return {"validation_loss": loss, "validation_log_likelihood": log_likelihood_mean, "validation_kl": kl_mean}

    def write_samples(self, directory: Path, epoch: int, tensorboard: TensorBoardLog | None) -> None:
        """What the model has to show, drawn from the same noise every time: of images, two grids, samples and data
        above its reconstructions."""
        examples = None
        if self._validation is not None:
            examples = rows_of(next(iter(self._validation.epoch())), slice(_SHOWN))
        with self.evaluated_model() as model:
            previews = model.previews(reseed(self._noise, self.config.seed, "samples"), examples)
        if previews:
            directory.mkdir(exist_ok=True)
        for name, preview in previews.items():
            if isinstance(preview, str):
                (directory / f"{name}-{epoch:05d}.txt").write_text(preview, encoding="utf-8")
                if tensorboard is not None:
                    tensorboard.text(name, preview, self.position.step)
                continue
            images, columns = preview
            save_image_grid(images, directory / f"{name}-{epoch:05d}.png", columns)
            if tensorboard is not None:
                tensorboard.image(name, image_grid(images, columns), self.position.step)
