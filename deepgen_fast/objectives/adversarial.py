"""Losses of a discriminator and of a generator, from the discriminator's logits (13.30-13.34 and later forms).

D(x) = sigmoid(logit). Every loss is to be minimized, is a mean over the logits, and is stable for logits of any size:
it is written in log D = -softplus(-logit) and log(1 - D) = -softplus(logit), and its gradient has no difference of
nearly equal numbers. Value and gradient come from one pass; a backward that is itself recorded runs as differentiable
torch code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_torch_code, transforming
from deepgen_fast.ops.forward_mode import forward_mode
from deepgen_fast.ops.rows import accumulation_dtype


class Term(NamedTuple):
    """What one logit costs, and its derivative; both take the logits and ``target``."""

    value: Callable[[Tensor, float], Tensor]
    slope: Callable[[Tensor, float], Tensor]


def _softplus(x: Tensor) -> Tensor:
    # At torch's own threshold of 20 the rest, exp(-20), still shows in float64.
    return F.softplus(x, threshold=40.0)


def _mixed(target: float, toward_one: Callable[[], Tensor], toward_zero: Callable[[], Tensor]) -> Tensor:
    """target * toward_one + (1 - target) * toward_zero, without what has no weight."""
    if target == 1.0:
        return toward_one()
    return toward_zero() if target == 0.0 else target * toward_one() + (1.0 - target) * toward_zero()


# Cross-entropy of a Bernoulli(target) label: -target log D - (1 - target) log(1 - D).
_CROSS_ENTROPY = Term(
    lambda x, target: _mixed(target, lambda: _softplus(-x), lambda: _softplus(x)),
    lambda x, target: _mixed(target, lambda: -torch.sigmoid(-x), lambda: torch.sigmoid(x)),
)
# log(1 - D), which the saturating generator lowers.
_SATURATING = Term(lambda x, _: -_softplus(x), lambda x, _: -torch.sigmoid(x))
# -D, whose descent is line 9 of Algorithm 13.1 as printed.
_PROBABILITY = Term(lambda x, _: -torch.sigmoid(x), lambda x, _: -torch.sigmoid(x) * torch.sigmoid(-x))
# max(0, 1 - target * logit), target 1 or -1.
_HINGE = Term(lambda x, target: F.relu(1.0 - target * x), lambda x, target: -target * (target * x < 1.0).to(x.dtype))
_SQUARE = Term(lambda x, target: 0.5 * (x - target).square(), lambda x, target: x - target)
_LINEAR = Term(lambda x, target: -target * x, lambda x, target: torch.full_like(x, -target))


class Game(NamedTuple):
    """The three terms of a loss: of real examples and generated ones for the discriminator, and for the generator.

    A target of None is 1, or less by the label smoothing.
    """

    real: tuple[Term, float | None]
    fake: tuple[Term, float]
    generator: tuple[Term, float | None]


_DISCRIMINATOR = ((_CROSS_ENTROPY, None), (_CROSS_ENTROPY, 0.0))

GAMES: dict[str, Game] = {
    "non_saturating": Game(*_DISCRIMINATOR, generator=(_CROSS_ENTROPY, 1.0)),
    "saturating": Game(*_DISCRIMINATOR, generator=(_SATURATING, 1.0)),
    "label_swapped": Game(*_DISCRIMINATOR, generator=(_CROSS_ENTROPY, None)),
    "algorithm_13_1": Game(*_DISCRIMINATOR, generator=(_PROBABILITY, 1.0)),
    "hinge": Game((_HINGE, 1.0), (_HINGE, -1.0), (_LINEAR, 1.0)),
    "least_squares": Game((_SQUARE, None), (_SQUARE, 0.0), (_SQUARE, 1.0)),
    "wasserstein": Game((_LINEAR, 1.0), (_LINEAR, -1.0), (_LINEAR, 1.0)),
}
#: Games whose discriminator has labels that can be smoothed.
SMOOTHABLE = tuple(name for name, game in GAMES.items() if game.real[1] is None)


class _Mean(torch.autograd.Function):
    """logits -> mean of a term; the gradient is taken in the same pass."""

    @staticmethod
    def forward(logits: Tensor, term: Term, target: float) -> Tensor:
        return term.value(logits.to(accumulation_dtype(logits.dtype)), target).mean()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        logits, ctx.term, ctx.target = inputs
        wide = logits.detach().to(output.dtype)
        ctx.save_for_backward(logits, ctx.term.slope(wide, ctx.target).div_(max(logits.numel(), 1)))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        logits, slope = ctx.saved_tensors
        if needs_torch_code(grad):
            slope = ctx.term.slope(logits.to(grad.dtype), ctx.target) / max(logits.numel(), 1)
        return (grad * slope).to(logits.dtype), None, None


def _mean(term: Term, logits: Tensor, target: float) -> Tensor:
    # All of these differentiate torch code by themselves.
    if transforming() or forward_mode() or torch.compiler.is_compiling():
        return term.value(logits.to(accumulation_dtype(logits.dtype)), target).mean()
    return apply_function(_Mean, logits, term, target)


def discriminator_loss(
    real_logits: Tensor, fake_logits: Tensor, loss: str = "non_saturating", *, label_smoothing: float = 0.0
) -> Tensor:
    """What the discriminator minimizes: -(13.32), or another game's loss.

    Args:
        real_logits: of real examples, any shape.
        fake_logits: of generated ones, any shape.
        loss: ``"non_saturating"``, ``"saturating"``, ``"label_swapped"`` or ``"algorithm_13_1"``: -mean log D(x) -
            mean log(1 - D(G(z))), these four differ for the generator only; ``"hinge"``: mean max(0, 1 - logit) of real
            ones + mean max(0, 1 + logit) of generated ones (Lim and Ye 2017); ``"least_squares"``: half the mean
            squares of logit - 1 and logit (Mao et al. 2017); ``"wasserstein"``: mean logit of generated ones - mean
            logit of real ones (Arjovsky et al. 2017; needs a penalty, see ``gradient_penalty``).
        label_smoothing: s; the label of real examples is 1 - s (Salimans et al. 2016 take 0.1). One-sided: the label of
            generated ones stays 0, so that the discriminator is not drawn to where only they are.

    Returns:
        ``[]``, float32 (float64 for float64 logits).

    Raises:
        ValueError: an unknown loss, smoothing outside [0, 1) or of a loss without labels.
        TypeError: logits that are not floating point.
    """
    game = _checked(loss, label_smoothing, real_logits=real_logits, fake_logits=fake_logits)
    return _mean(game.real[0], real_logits, _target(game.real, label_smoothing)) + _mean(
        game.fake[0], fake_logits, game.fake[1]
    )


def generator_loss(fake_logits: Tensor, loss: str = "non_saturating", *, label_smoothing: float = 0.0) -> Tensor:
    """What the generator minimizes.

    Args:
        fake_logits: of generated examples, any shape.
        loss: ``"non_saturating"``: -mean log D(G(z)) (13.33), whose gradient is large where the discriminator is sure;
            ``"saturating"``: mean log(1 - D(G(z))) (13.34), whose gradient vanishes there; ``"label_swapped"``: the
            discriminator's own loss with real and fake swapped, which is (13.33) but that smoothed labels are smoothed
            here too; ``"algorithm_13_1"``: -mean D(G(z)), line 9 of Algorithm 13.1 as printed; ``"hinge"`` and
            ``"wasserstein"``: -mean logit; ``"least_squares"``: half the mean square of logit - 1.
        label_smoothing: of the discriminator's labels; ``"label_swapped"`` alone looks at it.

    Returns:
        ``[]``, float32 (float64 for float64 logits).

    Raises:
        ValueError, TypeError: as for ``discriminator_loss``.
    """
    game = _checked(loss, label_smoothing, fake_logits=fake_logits)
    return _mean(game.generator[0], fake_logits, _target(game.generator, label_smoothing))


def _target(term: tuple[Term, float | None], label_smoothing: float) -> float:
    return 1.0 - label_smoothing if term[1] is None else term[1]


def check_loss(loss: str, label_smoothing: float) -> Game:
    """The game of that name.

    Raises:
        ValueError: an unknown loss, smoothing outside [0, 1) or of a loss without labels.
    """
    if loss not in GAMES:
        raise ValueError(f"loss: expected one of {', '.join(GAMES)}, got {loss!r}")
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing: expected a number in [0, 1), got {label_smoothing}")
    if label_smoothing and loss not in SMOOTHABLE:
        raise ValueError(f"label_smoothing: loss={loss!r} has no labels; those with are {', '.join(SMOOTHABLE)}")
    return GAMES[loss]


def _checked(loss: str, label_smoothing: float, **logits: Tensor) -> Game:
    for name, value in logits.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            got = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"{name}: expected a floating point tensor of logits, got {got}")
    return check_loss(loss, label_smoothing)
