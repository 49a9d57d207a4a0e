"""The trainer of VAEs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.data import Batches, binarize
from deepgen_fast.data.checks import check_binary_range
from deepgen_fast.models import VAE
from deepgen_fast.objectives import ELBO, Objective
from deepgen_fast.trainers.adam import build_adam
from deepgen_fast.trainers.config import RunConfig, TrainerConfig
from deepgen_fast.trainers.ema import ExponentialMovingAverage
from deepgen_fast.trainers.image_grid import image_grid, save_image_grid
from deepgen_fast.trainers.precision import build_precision
from deepgen_fast.trainers.seeds import reseed
from deepgen_fast.trainers.tensorboard_log import TensorBoardLog
from deepgen_fast.trainers.trainer import Trainer

_GRID_SAMPLES = 64
_GRID_RECONSTRUCTIONS = 8


class VAETrainer(Trainer):
    """Trains a VAE with Adam.

    Args:
        model: trained in place.
        objective: ``ELBO()`` when None.
        config: settings; ``TrainerConfig()`` when None.
        run_directory: where config, metrics, checkpoints, pictures and TensorBoard files go; None writes
            nothing.
        run_config: the whole run's config, written to the directory so that ``load_run`` and ``resume`` can
            rebuild the run from it. A model built in code has none; then only the trainer's settings are
            written, to ``trainer.toml``.
        binarize: how training pixels become binary at each step; ``run_config``'s when None.
        overrides: fields of ``TrainerConfig``, over ``config``'s: ``VAETrainer(model, epochs=3)``.

    Raises:
        ConfigError: for an unknown or wrong setting.
        ValueError: for a device that this machine does not have.
    """

    kind = "vae"

    def __init__(
        self,
        model: VAE,
        objective: Objective | None = None,
        config: TrainerConfig | None = None,
        *,
        run_directory: str | Path | None = None,
        run_config: RunConfig | None = None,
        binarize: str | None = None,
        **overrides: Any,
    ) -> None:
        super().__init__(model, config, run_directory, run_config, overrides)
        self.objective = objective if objective is not None else ELBO()
        self.binarize = binarize or (run_config.data.binarize if run_config is not None else "none")
        self._sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimizer = build_adam(self._parameters, self.config, self.device)
        self.optimizers = {"optimizer": self._optimizer}
        if self.config.ema_decay is not None:
            self.ema = ExponentialMovingAverage(model, self.config.ema_decay)

    def prepare(self, batches: Batches) -> None:
        """Make the copy of the networks that computes, where the precision asks for one."""
        self._precision = build_precision(self.config.precision, self.model)

    def refresh(self) -> None:
        """Hand restored weights on to the copy that computes."""
        self._precision.refresh()

    def check_values(self, examples: Tensor, name: str) -> None:
        """A Bernoulli takes values in [0, 1]; and only these can be drawn from."""
        if self.model.likelihood.kind == "bernoulli" or self.binarize == "stochastic":
            check_binary_range(examples, name=name)

    # What the loop asks for.

    def training_step(self, batch: Tensor, step: int, learning_rate: float) -> Tensor:
        """Forward, backward, clip, Adam, average."""
        precision, processes = self._precision, self.processes
        # Each process has noise of its own: its examples would else share that of the first process's.
        purpose = "step" if processes.alone else f"step/{processes.rank}"
        generator = reseed(self._noise, self.config.seed, purpose, step)
        x = binarize(batch, self.binarize, generator)
        precision.zero_grad()
        value, log_likelihood, kl = self.objective(precision.forward_model, x, step=step, generator=generator)
        loss = value.detach()
        sums = torch.stack([loss.double() * len(x), log_likelihood.sum().double(), kl.sum().double()])
        if not processes.alone:
            loss = processes.sum(sums)[0] / self.rows_of(step)[0]
        if self.check_now(step):
            self.check_finite(loss, "loss", step, late=self._finite_check_steps > 1)
        (value if processes.alone else value * (len(x) / self.rows_of(step)[0])).backward()
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
                x = binarize(batch, self.binarize, generator)
                value, log_likelihood, kl = objective(model, x, generator=generator)
                sums += torch.stack([value.double() * len(x), log_likelihood.sum().double(), kl.sum().double()])
        loss, log_likelihood_mean, kl_mean = (sums / batches.num_examples).tolist()
        return {"validation_loss": loss, "validation_log_likelihood": log_likelihood_mean, "validation_kl": kl_mean}

    def write_samples(self, directory: Path, epoch: int, tensorboard: TensorBoardLog | None) -> None:
        """Two grids: samples from the prior at the same z every time; data above its reconstructions."""
        shape = self.model.event_shape
        if len(shape) != 3 or shape[0] not in (1, 3):
            return
        directory.mkdir(exist_ok=True)
        grids: dict[str, tuple[Tensor, int]] = {}
        with self.evaluated_model() as model:
            generator = reseed(self._noise, self.config.seed, "samples")
            grids["samples"] = (model.sample(_GRID_SAMPLES, generator=generator), 8)
            if self._validation is not None:
                x = next(iter(self._validation.epoch()))[:_GRID_RECONSTRUCTIONS]
                grids["reconstructions"] = (torch.cat([x, model.reconstruct(x)]), len(x))
        for name, (images, columns) in grids.items():
            save_image_grid(images, directory / f"{name}-{epoch:05d}.png", columns)
            if tensorboard is not None:
                tensorboard.image(name, image_grid(images, columns), self.position.step)
