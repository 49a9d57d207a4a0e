"""The objective of the sentence VAE: an annealed KL, and a decoder that is not shown every word."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from deepgen_fast.data.vocabulary import EOS, PAD, UNK
from deepgen_fast.objectives.elbo import Loss

_SPAN = 10.0  # of the logistic function's argument over the annealing


class SentenceELBO:
    """-log p(x|z) + w(k) KL(q(z|x) || N(0, I)), per sentence, z ~ q(z|x) (Bowman et al. 2015, section 3.1).

    A decoder that reads the words before learns to do without z, and the KL then falls to 0, where the model is a
    language model and no more. Two remedies:

    - KL annealing: the weight w(k) of the KL rises from 0 to 1 over the first steps, so that z carries information
      before it costs any. ``"linear"``: w(k) = min(1, k / S); ``"sigmoid"``, the paper's (figure 2):
      w(k) = 1 / (1 + exp(-10 (k / S - 1/2))), which is 0.007 at the first step, 1/2 half way and 0.993 at step S.
    - Word dropout: at each step, each word that the decoder reads is ``<unk>`` with a fixed probability, so that it
      needs z for what it cannot see. The words that it predicts stay, and so does what the encoder reads.

    Args:
        annealing: how the weight of the KL rises: sigmoid (the paper's), linear, or none.
        annealing_steps: S, optimizer steps over which the weight of the KL rises.
        word_dropout: probability that a word is hidden from the decoder; 1 hides all of them.

    Raises:
        ValueError: for an argument out of its range.
    """

    def __init__(
        self,
        annealing: Literal["sigmoid", "linear", "none"] = "sigmoid",
        annealing_steps: int = 2500,
        word_dropout: float = 0.4,
    ) -> None:
        if annealing not in ("sigmoid", "linear", "none"):
            raise ValueError(f"annealing: expected sigmoid, linear or none, got {annealing!r}")
        if annealing_steps < 1:
            raise ValueError(f"annealing_steps: expected at least 1, got {annealing_steps}")
        if not 0.0 <= word_dropout <= 1.0:
            raise ValueError(f"word_dropout: expected a number in [0, 1], got {word_dropout}")
        self.annealing = annealing
        self.annealing_steps = annealing_steps
        self.word_dropout = word_dropout

    def beta_at(self, step: int | None) -> float:
        """w(k) at optimizer step ``step``, counted from 0; 1 for None."""
        if step is None or self.annealing == "none":
            return 1.0
        progress = step / self.annealing_steps
        if self.annealing == "linear":
            return min(1.0, progress)
        return 1.0 / (1.0 + math.exp(-_SPAN * (progress - 0.5)))

    def for_validation(self) -> SentenceELBO:
        """The bound itself: every word read, the KL at its full weight."""
        return SentenceELBO("none", word_dropout=0.0)

    def __call__(
        self, model: Any, x: Tensor, step: int | None = None, generator: torch.Generator | None = None
    ) -> Loss:
        """Loss of ``model``, a ``SentenceVAE``, on ``x [B, T]``; arguments as in ``ELBO``."""
        shown = None
        if self.word_dropout > 0.0:
            hidden = torch.rand(x.shape, generator=generator, device=x.device) < self.word_dropout
            shown = torch.where(hidden & (x != PAD) & (x != EOS), UNK, x)
        output = model(x, generator=generator, shown=shown)
        value = (self.beta_at(step) * output.kl - output.log_likelihood).mean()
        return Loss(value, output.log_likelihood.detach(), output.kl.detach())
