"""What every trainer has: settings, data, a run directory, optimizers and averages in checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.data import Dataset

from deepgen_fast.config.sections import ConfigError, TrainerConfig, describe
from deepgen_fast.data import Batches, DataError, Shard, check_labels, make_batches
from deepgen_fast.data.checks import check_pixels
from deepgen_fast.metrics.evaluation import evaluation_mode
from deepgen_fast.training.callback import Callback
from deepgen_fast.training.loop import TrainingLoop
from deepgen_fast.training.state.adam import moments_of, restore_moments
from deepgen_fast.training.state.checkpoint import Checkpoint, CheckpointError, tensors_under
from deepgen_fast.training.state.ema import ExponentialMovingAverage
from deepgen_fast.training.state.position import TrainingResult
from deepgen_fast.training.state.run_directory import RunDirectory, replace_text

_EVALUATION_BATCH = 512

#: Text of a run's ``config.toml``, given the trainer's settings.
ConfigText = Callable[[TrainerConfig], str]


class Trainer(TrainingLoop):
    """A model in training.

    A subclass makes ``optimizers`` and, where the settings ask for it, ``ema`` in its constructor, and says what a step
    is (see ``TrainingLoop``).

    Args:
        model: trained in place; it knows the shape of an example as ``event_shape``.
        config: settings; the defaults when None.
        run_directory: where config, metrics, checkpoints, pictures and TensorBoard files go; None writes
            nothing.
        config_text: the text of ``config.toml``, given the settings: all that ``runs.open`` and ``resume`` need to
            rebuild the run from its directory. A model built in code has none; then only the trainer's settings are
            written, to ``trainer.toml``.
        overrides: fields of the settings, over ``config``'s.
        callbacks: called as the run goes; see ``Callback``.

    Raises:
        ConfigError: for an unknown or wrong setting.
        ValueError: for a device that this machine does not have.
    """

    #: Of the settings.
    settings_class: ClassVar[type[TrainerConfig]] = TrainerConfig
    #: What is trained: commands that use a trained model choose by it.
    kind: ClassVar[str]

    def __init__(
        self,
        model: nn.Module,
        config: TrainerConfig | None,
        run_directory: str | Path | None,
        config_text: ConfigText | None,
        overrides: dict[str, Any],
        callbacks: Sequence[Callback] = (),
    ) -> None:
        settings = config if config is not None else self.settings_class()
        if overrides:
            try:
                settings = self.settings_class.model_validate({**settings.model_dump(), **overrides})
            except ValidationError as error:
                raise ConfigError(f"trainer: {describe(error)}") from error
        directory = None if run_directory is None else RunDirectory(run_directory, settings.keep_checkpoints)
        super().__init__(settings, directory, callbacks)
        self.model: Any = model.to(self.device)
        self._config_text = config_text
        self.optimizers: dict[str, torch.optim.Adam] = {}
        self.ema: ExponentialMovingAverage | None = None
        self._noise = torch.Generator(self.device)
        #: Draws the order of held-out examples; None: as they come.
        self.evaluation_order: torch.Generator | None = None
        self._validation: Batches | None = None

    def fit(
        self,
        train: Tensor | Dataset[Any],
        validation: Tensor | Dataset[Any] | None = None,
        *,
        labels: Tensor | None = None,
        validation_labels: Tensor | None = None,
        num_workers: int = 0,
        resume_from: str | Path | None = None,
    ) -> TrainingResult:
        """Train.

        Args:
            train: ``[N, *event]``, such as pixels in [0, 1], batched in memory; or a ``Dataset`` of examples
                ``[*event]``, read through a ``DataLoader``.
            validation: held-out examples; without them there is no best checkpoint and no early stopping.
            labels, validation_labels: int64 ``[N]``, for models that take them; batches are then pairs. -1 is the label
                of an example that has none, for objectives that are ``semi_supervised``.
            num_workers: processes that read a ``Dataset`` of training examples; 0 reads in this one.
            resume_from: ``"last"``, the run directory's latest checkpoint, or the path of one. The run then
                goes on bit for bit as if it had not stopped, on the same machine and number of threads.
                Raising ``epochs`` lengthens the run; other settings should stay.

        On SIGINT or SIGTERM the step in progress is finished, a checkpoint is written and the result's reason
        is ``"interrupted"``; a second signal interrupts at once.

        Raises:
            DataError: when the data does not fit the model, before any step.
            FileExistsError: when the run directory holds a run and ``resume_from`` is None.
            RunInUseError: when another process trains in the run directory.
            ConfigError: for early stopping without validation data.
            NonFiniteLossError: when the loss or the weights stop being finite. The last good checkpoint is
                kept.
            CheckpointError: when a checkpoint cannot be read or written.
        """
        config, processes = self.config, self.processes
        if config.early_stopping is not None:
            self.check_early_stopping(validation)
        batches = make_batches(
            train,
            config.batch_size,
            shuffle=True,
            generator=self._order,
            drop_last=config.drop_last,
            num_workers=num_workers,
            device=self.device,
            shard=Shard(processes.rank, processes.size),
            labels=labels,
        )
        self._check_data(batches, "train")
        self._check_shares(batches)
        if validation is not None:
            self._validation = make_batches(
                validation,
                self.evaluation_batch,
                shuffle=self.evaluation_order is not None,
                generator=self.evaluation_order,
                device=self.device,
                labels=validation_labels,
            )
            self._check_data(self._validation, "validation")
        self._batches = batches
        with self._locked():
            checkpoint = processes.from_main(lambda: self._prepare_directory(resume_from))
            self.model.train()
            self.prepare(batches)
            return self.run(batches, checkpoint)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Within this, no other process trains in the run directory."""
        directory = self.run_directory
        self.processes.from_main(lambda: None if directory is None else directory.lock.acquire())
        try:
            yield
        finally:
            if directory is not None:
                directory.lock.release()

    # What a trainer provides, beside what the loop asks for.

    @property
    def evaluation_batch(self) -> int:
        """Held-out examples at once."""
        return _EVALUATION_BATCH

    def prepare(self, batches: Batches) -> None:
        """Called with the training data when all is checked, before a checkpoint is restored."""

    def check_early_stopping(self, validation: Any) -> None:
        """Check that there will be a number to stop by.

        Raises:
            ConfigError: when there is none.
        """
        if validation is None:
            raise ConfigError("trainer.early_stopping: needs validation data, got none")

    def check_examples(self, examples: Tensor, name: str) -> None:
        """Check that the model can take these examples, which have its shape: finite pixels, unless a trainer says
        otherwise.

        Raises:
            DataError: when it cannot.
        """
        check_pixels(examples, name=name)
        if examples.is_floating_point():
            self.check_values(examples, name)

    def check_values(self, examples: Tensor, name: str) -> None:
        """Check that the model can take these finite pixels.

        Raises:
            DataError: when it cannot.
        """

    @classmethod
    def averaged_tensors(cls, model: Any) -> Mapping[str, Tensor]:
        """What ``ema_decay`` averages, by its name in the model's ``state_dict``."""
        return dict(model.named_parameters())

    def refresh(self) -> None:
        """Called when weights have been restored."""

    #: Whether labels may be missing.
    semi_supervised = False

    # Batches that processes share.

    def rows_of(self, step: int) -> tuple[int, slice]:
        """Rows of the whole batch of a step, and which of them are here."""
        batches = self._batches
        start = step % self.steps_per_epoch * batches.batch_size
        count = min(batches.batch_size, batches.num_examples - start)
        return count, Shard(self.processes.rank, self.processes.size).rows(count)

    def _check_shares(self, batches: Batches) -> None:
        size, rest = self.processes.size, batches.num_examples % batches.batch_size
        least = rest if rest and not self.config.drop_last else batches.batch_size
        if least < size:
            raise ConfigError(f"trainer.batch_size: {size} processes cannot share a batch of {least}; set drop_last")

    # Data and directory.

    def _check_data(self, batches: Batches, name: str) -> None:
        if batches.labels is not None:
            check_labels(batches.labels, num_classes=self.model.num_classes, unlabeled=self.semi_supervised, name=name)
        examples = batches.preview()
        expected, got = list(self.model.event_shape), list(examples.shape[1:])
        if got != expected:
            raise DataError(f"{name}: expected examples of shape {expected}, as the model takes them, got {got}")
        self.check_examples(examples, name)

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

    def _resume(self, path: Path) -> None:
        super()._resume(path)
        if self.run_directory is not None:
            self._write_config(self.run_directory)  # It may be another number of epochs.

    def _write_config(self, directory: RunDirectory) -> None:
        if self._config_text is not None:
            replace_text(directory.config_path, self._config_text(self.config))
            return
        import tomli_w

        settings = self.config.model_dump(mode="json", exclude_none=True)
        replace_text(directory.path / "trainer.toml", tomli_w.dumps({"trainer": settings}))

    # Checkpoints.

    def checkpoint(self) -> Checkpoint:
        """Weights, averages and the optimizers' moments."""
        moments = {
            f"{prefix}.{name}": value
            for prefix, optimizer in self.optimizers.items()
            for name, value in moments_of(optimizer).items()
        }
        return Checkpoint(
            dict(self.model.state_dict()), {}, None if self.ema is None else self.ema.state_dict(), moments
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over weights, averages and moments, which are those of this model: the loop has compared them."""
        self.model.load_state_dict(checkpoint.model)
        if self.ema is not None and checkpoint.ema is not None:
            self.ema.load_state_dict(checkpoint.ema)
        for prefix, optimizer in self.optimizers.items():
            restore_moments(optimizer, tensors_under(prefix, checkpoint.training))
        self.refresh()

    @contextmanager
    def evaluated_model(self) -> Iterator[Any]:
        """The model at rest, with the averaged weights where the run keeps them."""
        with evaluation_mode(self.model), self.ema.applied() if self.ema is not None else nullcontext():
            yield self.model
