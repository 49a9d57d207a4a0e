"""Trainers, and what they keep on the disk."""

from __future__ import annotations

from deepgen_fast.training.callback import Callback
from deepgen_fast.training.errors import CheckpointError, NonFiniteLossError
from deepgen_fast.training.gan.trainer import GANTrainer
from deepgen_fast.training.loop import TrainingLoop
from deepgen_fast.training.machine.distributed import Processes, join_processes
from deepgen_fast.training.report.image_grid import image_grid, save_image_grid
from deepgen_fast.training.state.checkpoint import Checkpoint, read_checkpoint
from deepgen_fast.training.state.checkpoint_store import CheckpointStore
from deepgen_fast.training.state.ema import ExponentialMovingAverage
from deepgen_fast.training.state.position import TrainingResult
from deepgen_fast.training.state.run_directory import RunDirectory
from deepgen_fast.training.state.run_lock import RunInUseError
from deepgen_fast.training.trainer import Trainer
from deepgen_fast.training.vae import VAETrainer

__all__ = [
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "CheckpointStore",
    "ExponentialMovingAverage",
    "GANTrainer",
    "NonFiniteLossError",
    "Processes",
    "RunDirectory",
    "RunInUseError",
    "Trainer",
    "TrainingLoop",
    "TrainingResult",
    "VAETrainer",
    "image_grid",
    "join_processes",
    "read_checkpoint",
    "save_image_grid",
]
