"""One of the players of a GAN."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from deepgen_fast.config.gan import GANTrainerConfig
from deepgen_fast.training.gan.historical_average import HistoricalAverage
from deepgen_fast.training.machine.distributed import Processes
from deepgen_fast.training.machine.precision import Precision
from deepgen_fast.training.state.adam import build_adam


class Player:
    """The parameters that one optimizer moves, and how.

    Args:
        parameters: those that are frozen stay so.
        rate: learning rate as a multiple of the schedule's.
        config: betas, weight decay, clipping and historical averaging.
        processes: among which gradients are added up.
    """

    def __init__(
        self, parameters: Iterable[Tensor], rate: float, config: GANTrainerConfig, processes: Processes
    ) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.rate = rate
        self._clip = config.gradient_clip
        self._processes = processes
        weight = config.historical_averaging
        self.history = HistoricalAverage(self.parameters, weight) if weight else None
        self.optimizer = build_adam(self.parameters, config, processes.device, rate=rate, betas=config.adam_betas)

    def move(self, loss: Tensor, precision: Precision, learning_rate: float, share: float) -> None:
        """Backward, add up, the pull of the history, clip, Adam.

        Args:
            loss: ``[]``, a mean over this process's rows.
            precision: whose forward model made it.
            learning_rate: of the schedule.
            share: this process's part of the batch's rows.
        """
        precision.zero_grad(self.parameters)
        # Weighed before backward: through synchronized statistics, each process's loss reaches the others' rows.
        (loss if self._processes.alone else loss * share).backward()
        precision.collect_gradients(self.parameters)
        self._processes.sum_gradients(self.parameters)
        if self.history is not None:
            self.history.add_gradients()
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self._clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * self.rate
        self.optimizer.step()
        if self.history is not None:
            self.history.update()
        precision.refresh(self.parameters)
