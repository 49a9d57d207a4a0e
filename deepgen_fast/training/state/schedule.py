"""Learning rate as a pure function of the step: nothing to store, nothing to get out of step on resuming."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LearningRateSchedule:
    """Linear warm-up, then constant, cosine or step decay.

    Attributes:
        kind: ``"none"``, ``"cosine"`` (Loshchilov and Hutter 2017, one period) or ``"step"``.
        peak: learning rate after the warm-up.
        warmup_steps: step k of the warm-up has ``peak * (k + 1) / warmup_steps``, so that no step is wasted
            at 0.
        total_steps: of the whole run; the cosine ends there.
        final_fraction: of ``peak`` left at the cosine's end.
        decay_steps, decay_factor: the step decay multiplies by the factor every so many steps after the
            start.
    """

    kind: str
    peak: float
    warmup_steps: int
    total_steps: int
    final_fraction: float = 0.0
    decay_steps: int = 1
    decay_factor: float = 1.0

    def at(self, step: int) -> float:
        """Learning rate of optimizer step ``step``, counted from 0."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        if self.kind == "cosine":
            span = max(1, self.total_steps - self.warmup_steps)
            progress = min(1.0, (step - self.warmup_steps) / span)
            cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
            return self.peak * (self.final_fraction + (1.0 - self.final_fraction) * cosine)
        if self.kind == "step":
            return self.peak * self.decay_factor ** (step // self.decay_steps)
        return self.peak
