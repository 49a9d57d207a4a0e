"""Numbers and pictures for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Of an epoch's record: where it is, and what is no curve.
_NOT_CURVES = ("epoch", "step", "seconds", "best")
# What stands first in a field's name -> a group of TensorBoard's; others are of the run.
_GROUPS = ("train", "validation", "discriminator", "generator")


class TensorBoardLog:
    """Event files in ``directory``; TensorBoard is imported here, because importing it takes a second.

    Args:
        directory: for the files.
        purge_step: events of this step and later, left by a run that this one resumes, are hidden.

    Raises:
        ImportError: when tensorboard is not installed.
    """

    def __init__(self, directory: Path, purge_step: int | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(directory), purge_step=purge_step)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Write an epoch's record at its step."""
        for name, value in record.items():
            if name not in _NOT_CURVES and isinstance(value, int | float):
                group, _, rest = name.partition("_")
                tag = f"{group}/{rest}" if group in _GROUPS else f"run/{name}"
                self._writer.add_scalar(tag, value, record["step"])

    def step(self, loss: float, step: int) -> None:
        """Write one step's loss."""
        self._writer.add_scalar("step/loss", loss, step)

    def image(self, tag: str, grid: np.ndarray, step: int) -> None:
        """Write a uint8 picture, ``[H, W]`` or ``[H, W, 3]``."""
        self._writer.add_image(tag, grid, step, dataformats="HW" if grid.ndim == 2 else "HWC")

    def text(self, tag: str, text: str, step: int) -> None:
        """Write a text, line by line as it is."""
        self._writer.add_text(tag, text.replace("\n", "  \n"), step)

    def close(self) -> None:
        self._writer.close()
