"""Runs: trained, resumed, and opened for use.

from deepgen_fast import runs
run = runs.open("runs/digits")
images = run.sample(16)
"""

from __future__ import annotations

from deepgen_fast.runs.adversarial import GANEvaluation
from deepgen_fast.runs.data import examples_of, load_run_data
from deepgen_fast.runs.density import DensityEvaluation
from deepgen_fast.runs.errors import RunError
from deepgen_fast.runs.run import Run, open
from deepgen_fast.runs.train import resume, train

__all__ = [
    "DensityEvaluation",
    "GANEvaluation",
    "Run",
    "RunError",
    "examples_of",
    "load_run_data",
    "open",
    "resume",
    "train",
]
