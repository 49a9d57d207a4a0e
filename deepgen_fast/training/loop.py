"""The loop every trainer shares: epochs and steps, checkpoints, interruption, early stopping, records.

A trainer says what one step does; the loop says when. All positions are counted, never timed: a run that stops at
step k and resumes is bit for bit the run that did not stop, because

- the order of epoch e and the noise of step k are pure functions of the run's seed (``seeds.py``),
- the learning rate and beta are pure functions of the step (``schedule.py``),
- everything else that changes (weights, moments, averages, torch's global generators, the running epoch's sums,
  early stopping) is in the checkpoint.

A checkpoint inside an epoch is as good as one between epochs: the order is drawn again and the batches already seen
are skipped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.config.sections import TrainerConfig
from deepgen_fast.data import Batches
from deepgen_fast.training.callback import Callback
from deepgen_fast.training.errors import NonFiniteLossError
from deepgen_fast.training.machine.distributed import join_processes
from deepgen_fast.training.machine.interruption import Interruption
from deepgen_fast.training.report.progress import Progress, build_progress
from deepgen_fast.training.report.tensorboard_log import TensorBoardLog
from deepgen_fast.training.state.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from deepgen_fast.training.state.checkpoint_files import TensorSpec, specs_of
from deepgen_fast.training.state.position import Best, Position, TrainingResult, TrainState, read_state
from deepgen_fast.training.state.run_directory import RunDirectory
from deepgen_fast.training.state.schedule import LearningRateSchedule
from deepgen_fast.training.state.seeds import derive_seed, reseed
from deepgen_fast.training.steps import Steps

_RANDOM_CPU, _RANDOM_CUDA = "random.cpu", "random.cuda"  # states of torch's global generators, in a checkpoint


class TrainingLoop(Steps):
    """Runs a trainer's steps.

    ``monitor`` names the metric, of those that ``validate`` gives, whose lowest value is the best.

    Args:
        config: validated settings.
        run_directory: where to write; None writes nothing.
        callbacks: called as the run goes.
    """

    def __init__(
        self, config: TrainerConfig, run_directory: RunDirectory | None, callbacks: Sequence[Callback] = ()
    ) -> None:
        self.config = config
        self.processes = join_processes(config.device)
        self.device = self.processes.device
        # Process 0 alone writes.
        self.run_directory = run_directory if self.processes.is_main else None
        self.callbacks = tuple(callbacks) if self.processes.is_main else ()
        self.position = Position()
        self.best = Best()
        self.history: list[dict[str, Any]] = []
        self.monitor = "validation_loss"
        self._order = torch.Generator()
        self._progress: Progress = build_progress("none")
        self._tensorboard: TensorBoardLog | None = None
        self._last_save = 0.0
        self._last_good: Path | None = None
        # A read of the loss is free on the CPU; on a GPU it waits for the queue.
        self._finite_check_steps = config.finite_check_steps or (1 if self.device.type == "cpu" else 50)

    # The loop.

    def run(self, batches: Batches, resume_from: Path | None = None) -> TrainingResult:
        """Train to the end of ``config.epochs``, early stopping or an interruption.

        Raises:
            NonFiniteLossError: when the loss or the weights stop being finite.
            CheckpointError: when a checkpoint cannot be read or written.
        """
        self.steps_per_epoch = len(batches)
        self._schedule = self._build_schedule()
        threads = torch.get_num_threads()
        devices = [self.device] if self.device.type == "cuda" else []
        started = time.monotonic()
        with torch.random.fork_rng(devices=devices), Interruption() as interruption:
            try:
                if self.config.threads is not None:
                    torch.set_num_threads(self.config.threads)
                torch.manual_seed(derive_seed(self.config.seed, "global"))
                self._open(resume_from)
                reason = self._epochs(batches, interruption)
                self._close_run()
                if reason != "interrupted" and self.run_directory is not None:
                    self.finish(self.run_directory)
                self._keep_best()
            except BaseException:
                self._keep_best_after_error()
                raise
            finally:
                self._progress.close()
                if self._tensorboard is not None:
                    self._tensorboard.close()
                torch.set_num_threads(threads)
        result = TrainingResult(
            reason,
            self.position.epoch,
            self.position.step,
            time.monotonic() - started,
            self.best.epoch,
            self.best.loss,
            self.history,
            None if self.run_directory is None else self.run_directory.path,
            self.monitor.replace("_", " "),
        )
        for callback in self.callbacks:
            callback.on_end(result)
        return result

    def _build_schedule(self) -> LearningRateSchedule:
        config = self.config
        return LearningRateSchedule(
            config.schedule,
            config.learning_rate,
            config.warmup_steps,
            config.epochs * self.steps_per_epoch,
            config.final_fraction,
            config.decay_epochs * self.steps_per_epoch,
            config.decay_factor,
        )

    def _open(self, resume_from: Path | None) -> None:
        self._progress = build_progress(self.config.progress if self.processes.is_main else "none", self.summarize)
        directory = self.run_directory
        if directory is not None:
            directory.prepare()
        if resume_from is not None:
            self._resume(resume_from)
        total = self.config.epochs * self.steps_per_epoch
        self._progress.start(self.position.step, total, self.config.epochs)
        if directory is not None and self.config.tensorboard:
            try:
                self._tensorboard = TensorBoardLog(
                    directory.tensorboard_path, self._progress.message, self.position.step + 1 if resume_from else None
                )
            except ImportError:
                self._progress.message("TensorBoard files are not written: the package tensorboard is not installed")
        self._last_save = time.monotonic()

    def _epochs(self, batches: Batches, interruption: Interruption) -> str:
        while self.position.epoch < self.config.epochs:
            if self._stops_early():
                return "early_stopping"
            if not self._one_epoch(batches, interruption):
                return "interrupted"
            self._end_epoch(batches.num_examples)
            if self.processes.any(interruption.requested):
                return "interrupted"
        return "early_stopping" if self._stops_early() else "completed"

    def _one_epoch(self, batches: Batches, interruption: Interruption) -> bool:
        """Train from ``position.batch`` to the epoch's end; False when interrupted before it."""
        position, config = self.position, self.config
        self._epoch_started, self._epoch_first_batch = time.monotonic(), position.batch
        if position.batch == 0:
            self.epoch_sums().zero_()
        reseed(self._order, config.seed, "order", position.epoch)
        for batch in batches.epoch(position.batch):
            if not self.processes.alone:
                self._reseed_process()
            loss = self.training_step(batch, position.step, self._schedule.at(position.step))
            position.step += 1
            position.batch += 1
            self._progress.advance(position.step, position.epoch + 1)
            for callback in self.callbacks:
                callback.on_step(position.step, loss)
            if config.log_every_steps and self._tensorboard and position.step % config.log_every_steps == 0:
                self._tensorboard.step(float(loss), position.step)
            if position.batch == self.steps_per_epoch:
                break
            if self.processes.any(interruption.requested):
                self._save()
                return False
            if time.monotonic() - self._last_save >= config.checkpoint_seconds:
                self._save()
        return True

    def _reseed_process(self) -> None:
        """Torch's global generators differ between processes, and checkpoints hold those of process 0 alone."""
        torch.manual_seed(derive_seed(self.config.seed, f"global/{self.processes.rank}", self.position.step))

    def _end_epoch(self, num_examples: int) -> None:
        position, config = self.position, self.config
        self.check_finite(self.epoch_sums()[0], "loss", position.step - 1, late=self._finite_check_steps > 1)
        seconds = time.monotonic() - self._epoch_started
        share = 1.0 - self._epoch_first_batch / self.steps_per_epoch
        position.epoch += 1
        position.batch = 0
        record: dict[str, Any] = {
            "epoch": position.epoch,
            "step": position.step,
            "learning_rate": self._schedule.at(position.step - 1),
            **self.epoch_record(num_examples),
            "seconds": round(seconds, 4),
            "examples_per_second": round(num_examples * share / max(seconds, 1e-9), 1),
        }
        last = position.epoch == config.epochs
        if position.epoch % config.validate_every == 0 or last:
            self._validate(record)
        for remark in self.remarks([*self.history, record]):
            self._progress.message(remark)
        self.history.append(record)
        self._progress.epoch_ended(record)
        for callback in self.callbacks:
            callback.on_epoch(record)
        directory = self.run_directory
        if directory is None:
            return
        directory.append_metrics(record)
        if self._tensorboard is not None:
            self._tensorboard.epoch(record)
        if last or (config.sample_every and position.epoch % config.sample_every == 0):
            self.write_samples(directory.samples_path, position.epoch, self._tensorboard)
        # The first epoch is saved whatever the clock says: from then on there is something to go back to.
        due = position.epoch == 1 or time.monotonic() - self._last_save >= config.checkpoint_seconds
        if due or (config.checkpoint_every and position.epoch % config.checkpoint_every == 0):
            self._save()

    def _validate(self, record: dict[str, Any]) -> None:
        metrics = self.processes.from_main(self.validate)
        if metrics is None:
            return
        record.update(metrics)
        if self.monitor not in metrics:
            return
        loss = metrics[self.monitor]
        self.check_finite(torch.tensor(loss), self.monitor.replace("_", " "), self.position.step - 1)
        best = self.best
        if best.loss is None or loss < best.loss - self.config.min_improvement:
            self.best = Best(loss, self.position.epoch)
            record["best"] = True
            if self.run_directory is not None:
                self.run_directory.checkpoints.hold_best(self._full_checkpoint())
        else:
            best.waited += 1

    def _stops_early(self) -> bool:
        return self.config.early_stopping is not None and self.best.waited >= self.config.early_stopping

    # Checkpoints.

    def _full_checkpoint(self) -> Checkpoint:
        checkpoint = self.checkpoint()
        checkpoint.training["epoch_sums"] = self.epoch_sums()
        checkpoint.training[_RANDOM_CPU] = torch.get_rng_state()
        if self.device.type == "cuda":
            checkpoint.training[_RANDOM_CUDA] = torch.cuda.get_rng_state(self.device)
        checkpoint.state = {
            "position": asdict(self.position),
            "step": self.position.step,
            "epoch": self.position.epoch,
            "best": asdict(self.best),
            "torch": torch.__version__,
        }
        return checkpoint

    def _save(self) -> None:
        self._last_save = time.monotonic()
        if self.run_directory is None:
            return
        checkpoint = self._full_checkpoint()
        bad = checkpoint.non_finite()
        if bad:
            raise self._non_finite(f"{', '.join(bad[:3])} became NaN or infinite", self.position.step - 1, late=True)
        self._last_good = self.run_directory.checkpoints.save(checkpoint)
        for callback in self.callbacks:
            callback.on_checkpoint(self._last_good)

    def _close_run(self) -> None:
        if self.position.batch == 0:  # Otherwise an interruption has saved already.
            self._save()

    def _keep_best(self) -> None:
        """Whatever ended the run, the best weights seen are written."""
        if self.run_directory is not None:
            self.run_directory.checkpoints.write_best()

    def _keep_best_after_error(self) -> None:
        """As ``_keep_best``; the error that ended the run is the one to raise."""
        try:
            self._keep_best()
        except CheckpointError as error:
            self._progress.message(f"The best weights are lost: {error}")

    def _resume(self, path: Path) -> None:
        if self.run_directory is not None:
            self.run_directory.read_metrics()  # Before anything is discarded: damaged ones end it here.
        try:
            checkpoint, state = self._read(path)
        except CheckpointError as error:
            raise CheckpointError(f"{error}{self._advice(path)}") from error
        self.restore(checkpoint)
        self.position, self.best = state.position, state.best
        self.epoch_sums().copy_(checkpoint.training["epoch_sums"])
        torch.set_rng_state(checkpoint.training[_RANDOM_CPU])
        if self.device.type == "cuda" and _RANDOM_CUDA in checkpoint.training:
            torch.cuda.set_rng_state(checkpoint.training[_RANDOM_CUDA], self.device)
        self._last_good = path
        if self.run_directory is not None:
            self.run_directory.checkpoints.discard_after(self.position.step)
            self.history = self.run_directory.keep_metrics_until(self.position.step)

    def _read(self, path: Path) -> tuple[Checkpoint, TrainState]:
        """Read a checkpoint and compare all of it with this run, which stays as it is.

        Raises:
            CheckpointError: when it is damaged or of another run.
        """
        own = self._full_checkpoint()
        # A run may move between machines with and without a GPU.
        training = {**specs_of(own.training), _RANDOM_CUDA: TensorSpec(torch.uint8, (16,), optional=True)}
        checkpoint = read_checkpoint(path, replace(own.layout(), training=training))
        state = read_state(checkpoint.state, path)
        position = state.position
        if position.batch >= self.steps_per_epoch or (
            position.step != position.epoch * self.steps_per_epoch + position.batch
        ):
            raise CheckpointError(
                f"{path}: step {position.step} is not batch {position.batch} of epoch {position.epoch + 1} with "
                f"{self.steps_per_epoch} batches an epoch: the data or the batch size has changed"
            )
        try:
            torch.Generator().set_state(checkpoint.training[_RANDOM_CPU])
        except RuntimeError as error:
            raise CheckpointError(f"{path}: damaged: {_RANDOM_CPU}: {error}") from error
        self.check_numbers(checkpoint)
        return checkpoint, state

    def _advice(self, damaged: Path) -> str:
        """Which other checkpoint of this run serves, and how to go on from it; empty where none does."""
        if self.run_directory is None:
            return ""
        for path in reversed(self.run_directory.checkpoints.named("step")):
            if path != damaged:
                try:
                    self._read(path)
                except CheckpointError:
                    continue
                return (
                    f". The newest whole checkpoint is {path}: name it to go on from there (--checkpoint {path.name} "
                    "beside --resume; checkpoint in resume(), resume_from in fit())"
                )
        return ""

    # Finite numbers.

    def check_now(self, step: int) -> bool:
        """Whether ``training_step`` should look at the loss of this step."""
        return (step + 1) % self._finite_check_steps == 0

    def check_finite(self, value: Tensor, what: str, step: int, late: bool = False) -> None:
        """Raise when ``value []`` is not finite.

        Raises:
            NonFiniteLossError: naming step, epoch, learning rate and the last good checkpoint.
        """
        number = float(value)
        if not math.isfinite(number):
            raise self._non_finite(f"{what} became {number}", step, late)

    def _non_finite(self, what: str, step: int, late: bool) -> NonFiniteLossError:
        return NonFiniteLossError(
            what,
            step=step,
            epoch=step // self.steps_per_epoch + 1,
            learning_rate=self._schedule.at(step),
            checkpoint=self._last_good,
            late=late,
        )
