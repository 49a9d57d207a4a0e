"""Trainers and the runs they make."""

from __future__ import annotations

from deepgen_fast.trainers.checkpoint import Checkpoint, read_checkpoint
from deepgen_fast.trainers.checkpoint_store import CheckpointStore
from deepgen_fast.trainers.config import ConfigError, DataConfig, ModelConfig, ObjectiveConfig, RunConfig, TrainerConfig
from deepgen_fast.trainers.distributed import Processes, join_processes
from deepgen_fast.trainers.ema import ExponentialMovingAverage
from deepgen_fast.trainers.errors import CheckpointError, NonFiniteLossError
from deepgen_fast.trainers.gan import GANTrainer
from deepgen_fast.trainers.gan_config import GANTrainerConfig
from deepgen_fast.trainers.image_grid import image_grid, save_image_grid
from deepgen_fast.trainers.loop import TrainingLoop
from deepgen_fast.trainers.position import TrainingResult
from deepgen_fast.trainers.run import LoadedRun, examples_of, load_run, load_run_data, resume, train
from deepgen_fast.trainers.run_directory import RunDirectory
from deepgen_fast.trainers.run_lock import RunInUseError
from deepgen_fast.trainers.systems import SYSTEMS, System, system_named
from deepgen_fast.trainers.trainer import Trainer
from deepgen_fast.trainers.vae import VAETrainer

__all__ = [
    "SYSTEMS",
    "Checkpoint",
    "CheckpointError",
    "CheckpointStore",
    "ConfigError",
    "DataConfig",
    "ExponentialMovingAverage",
    "GANTrainer",
    "GANTrainerConfig",
    "LoadedRun",
    "ModelConfig",
    "NonFiniteLossError",
    "ObjectiveConfig",
    "Processes",
    "RunConfig",
    "RunDirectory",
    "RunInUseError",
    "System",
    "Trainer",
    "TrainerConfig",
    "TrainingLoop",
    "TrainingResult",
    "VAETrainer",
    "examples_of",
    "image_grid",
    "join_processes",
    "load_run",
    "load_run_data",
    "read_checkpoint",
    "resume",
    "save_image_grid",
    "system_named",
    "train",
]
