"""The trainer of VAEs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor
from torch.utils.data import Dataset

from deepgen_fast.data import Batches, DataError, binarize, make_batches
from deepgen_fast.data.checks import check_binary_range, check_range
from deepgen_fast.models import VAE
from deepgen_fast.objectives import ELBO, Objective
from deepgen_fast.trainers.checkpoint import Checkpoint, CheckpointError
from deepgen_fast.trainers.config import ConfigError, RunConfig, TrainerConfig, describe
from deepgen_fast.trainers.ema import ExponentialMovingAverage
from deepgen_fast.trainers.evaluating import evaluating
from deepgen_fast.trainers.image_grid import image_grid, save_image_grid
from deepgen_fast.trainers.loop import TrainingLoop
from deepgen_fast.trainers.position import TrainingResult
from deepgen_fast.trainers.precision import build_precision
from deepgen_fast.trainers.run_directory import RunDirectory
from deepgen_fast.trainers.seeds import reseed
from deepgen_fast.trainers.tensorboard_log import TensorBoardLog

_EVALUATION_BATCH = 512
_GRID_SAMPLES = 64
_GRID_RECONSTRUCTIONS = 8


class VAETrainer(TrainingLoop):
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
        settings = config or (run_config.trainer if run_config is not None else TrainerConfig())
        if overrides:
            try:
                settings = TrainerConfig.model_validate({**settings.model_dump(), **overrides})
            except ValidationError as error:
                raise ConfigError(f"trainer: {describe(error)}") from error
        directory = None if run_directory is None else RunDirectory(run_directory, settings.keep_checkpoints)
        super().__init__(settings, directory)
        self.model = model.to(self.device)
        self.objective = objective if objective is not None else ELBO()
        self.run_config = run_config
        self.binarize = binarize or (run_config.data.binarize if run_config is not None else "none")
        self._noise = torch.Generator(self.device)
        self._sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimizer = self._build_optimizer()
        self.ema = None if settings.ema_decay is None else ExponentialMovingAverage(model, settings.ema_decay)
        self._validation: Batches | None = None

    def _build_optimizer(self) -> torch.optim.Optimizer:
        # Fused: one pass over weights, gradients and moments in place of a dozen.
        options: dict[str, Any] = {"lr": self.config.learning_rate, "fused": self.device.type in ("cpu", "cuda")}
        if self.config.weight_decay:
            return torch.optim.AdamW(self._parameters, weight_decay=self.config.weight_decay, **options)
        return torch.optim.Adam(self._parameters, **options)

    def fit(
        self,
        train: Tensor | Dataset[Any],
        validation: Tensor | Dataset[Any] | None = None,
        *,
        resume_from: str | Path | None = None,
    ) -> TrainingResult:
        """Train.

        Args:
            train: ``[N, *event]`` in [0, 1], batched in memory; or a ``Dataset`` of examples ``[*event]``,
                read through a ``DataLoader``.
            validation: held-out examples; without them there is no best checkpoint and no early stopping.
            resume_from: ``"last"``, the run directory's latest checkpoint, or the path of one. The run then
                goes on bit for bit as if it had not stopped, on the same machine and number of threads.
                Raising ``epochs`` lengthens the run; other settings should stay.

        On SIGINT or SIGTERM the step in progress is finished, a checkpoint is written and the result's reason
        is ``"interrupted"``; a second signal interrupts at once.

        Raises:
            DataError: when the data does not fit the model, before any step.
            FileExistsError: when the run directory holds a run and ``resume_from`` is None.
            ConfigError: for early stopping without validation data.
            NonFiniteLossError: when the loss or the weights stop being finite. The last good checkpoint is
                kept.
            CheckpointError: when a checkpoint cannot be read or written.
        """
        config = self.config
        if config.early_stopping is not None and validation is None:
            raise ConfigError("trainer.early_stopping: needs validation data, got none")
        workers = self.run_config.data.num_workers if self.run_config is not None else 0
        batches = make_batches(
            train,
            config.batch_size,
            shuffle=True,
            generator=self._order,
            drop_last=config.drop_last,
            num_workers=workers,
            device=self.device,
        )
        self._check_data(batches, "train")
        if validation is not None:
            self._validation = make_batches(validation, _EVALUATION_BATCH, shuffle=False, device=self.device)
            self._check_data(self._validation, "validation")
        checkpoint = self._prepare_directory(resume_from)
        self.model.train()
        self._precision = build_precision(config.precision, self.model)
        return self.run(batches, checkpoint)

    def _check_data(self, batches: Batches, name: str) -> None:
        examples = batches.preview()
        expected, got = list(self.model.event_shape), list(examples.shape[1:])
        if got != expected:
            raise DataError(f"{name}: expected examples of shape {expected}, as the model takes them, got {got}")
        if examples.dtype == torch.uint8:
            return
        if not examples.is_floating_point():
            raise DataError(f"{name}: expected floating point or uint8 pixels, got {examples.dtype}")
        check_range(examples, name=name, values="any")
        if self.model.likelihood.kind == "bernoulli" or self.binarize == "stochastic":
            check_binary_range(examples, name=name)

    def _prepare_directory(self, resume_from: str | Path | None) -> Path | None:
        directory = self.run_directory
        if resume_from is None:
            if directory is not None:
                if directory.is_used():
                    raise FileExistsError(
                        f"{directory.path}: already holds a run; resume it, or choose another directory"
                    )
                directory.prepare()
                self._write_config(directory)
            return None
        if str(resume_from) != "last":
            return Path(resume_from)
        latest = None if directory is None else directory.checkpoints.latest()
        if latest is None:
            raise CheckpointError(
                "resume_from='last': no run directory was given"
                if directory is None
                else f"{directory.path}: no checkpoint to resume from"
            )
        return latest

    def _write_config(self, directory: RunDirectory) -> None:
        if self.run_config is not None:
            directory.write_config(self.run_config.model_copy(update={"trainer": self.config}))
            return
        import tomli_w

        settings = self.config.model_dump(mode="json", exclude_none=True)
        (directory.path / "trainer.toml").write_text(tomli_w.dumps({"trainer": settings}), encoding="utf-8")

    # What the loop asks for.

    def training_step(self, batch: Tensor, step: int, learning_rate: float) -> Tensor:
        """Forward, backward, clip, Adam, average."""
        precision = self._precision
        generator = reseed(self._noise, self.config.seed, "step", step)
        x = binarize(batch, self.binarize, generator)
        precision.zero_grad()
        value, log_likelihood, kl = self.objective(precision.forward_model, x, step=step, generator=generator)
        loss = value.detach()
        if self.check_now(step):
            self.check_finite(loss, "loss", step, late=self._finite_check_steps > 1)
        value.backward()
        precision.collect_gradients()
        if self.config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self.config.gradient_clip)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        precision.refresh()
        if self.ema is not None:
            self.ema.update(step)
        sums = self._sums
        sums[0] += loss * len(x)
        sums[1] += log_likelihood.sum()
        sums[2] += kl.sum()
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
        with self._evaluated_model() as model:
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
        with self._evaluated_model() as model:
            generator = reseed(self._noise, self.config.seed, "samples")
            grids["samples"] = (model.sample(_GRID_SAMPLES, generator=generator), 8)
            if self._validation is not None:
                x = next(iter(self._validation.epoch()))[:_GRID_RECONSTRUCTIONS]
                grids["reconstructions"] = (torch.cat([x, model.reconstruct(x)]), len(x))
        for name, (images, columns) in grids.items():
            save_image_grid(images, directory / f"{name}-{epoch:05d}.png", columns)
            if tensorboard is not None:
                tensorboard.image(name, image_grid(images, columns), self.position.step)

    def checkpoint(self) -> Checkpoint:
        """Weights, averages and Adam's moments."""
        moments = {
            f"optimizer.{index}.{name}": value
            for index, values in self._optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }
        return Checkpoint(
            dict(self.model.state_dict()), {}, None if self.ema is None else self.ema.state_dict(), moments
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over weights, averages and moments.

        Raises:
            CheckpointError: when they are not those of this model, or of a run without the average that this
                one keeps.
        """
        try:
            self.model.load_state_dict(checkpoint.model)
            if self.ema is not None:
                if checkpoint.ema is None:
                    raise ValueError("the run kept no average of the weights, but ema_decay is set")
                self.ema.load_state_dict(checkpoint.ema)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint does not fit the model: {error}") from error
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in checkpoint.training.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                state.setdefault(int(index), {})[name] = value
        self._optimizer.load_state_dict({"state": state, "param_groups": self._optimizer.state_dict()["param_groups"]})
        self._precision.refresh()

    @contextmanager
    def _evaluated_model(self) -> Iterator[VAE]:
        with evaluating(self.model), self.ema.applied() if self.ema is not None else nullcontext():
            yield self.model
