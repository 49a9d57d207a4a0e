"""Losses of logits against the definitions in extended precision, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deepgen_fast.objectives import discriminator_loss, generator_loss
from deepgen_fast.objectives.adversarial import GAMES, SMOOTHABLE

LOGITS = np.array(
    [-1e4, -745.0, -104.0, -88.0, -40.0, -20.0, -19.9, -3.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0]
    + [19.9, 20.1, 40.0, 88.0, 104.0, 745.0, 1e4]
)
SMOOTHINGS = (0.0, 0.1)
CASES = [(loss, smoothing) for loss in GAMES for smoothing in SMOOTHINGS if not smoothing or loss in SMOOTHABLE]


def softplus(x):
    return np.logaddexp(np.longdouble(0), x)


def sigmoid(x):
    x = np.asarray(x, dtype=np.longdouble)
    return np.exp(-softplus(-x))


def log_d(x):
    return -softplus(-x)


def log_not_d(x):
    return -softplus(x)


def truth(player: str, loss: str, smoothing: float, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(value, derivative) of each logit: the definitions, in extended precision. player: real, fake or generator."""
    x = logits.astype(np.longdouble)
    label = 1 - np.longdouble(smoothing)
    if loss == "hinge":
        sign = -1 if player == "fake" else 1
        if player == "generator":
            return -x, np.full_like(x, -1)
        return np.maximum(0, 1 - sign * x), np.where(sign * x < 1, -sign, 0).astype(np.longdouble)
    if loss == "wasserstein":
        sign = -1 if player == "fake" else 1
        return -sign * x, np.full_like(x, -sign)
    if loss == "least_squares":
        target = {"real": label, "fake": 0, "generator": 1}[player]
        return (x - target) ** 2 / 2, x - target
    if player == "fake":
        return -log_not_d(x), sigmoid(x)
    if player == "real" or loss == "label_swapped":
        return -label * log_d(x) - (1 - label) * log_not_d(x), (1 - label) * sigmoid(x) - label * sigmoid(-x)
    return {
        "non_saturating": (-log_d(x), -sigmoid(-x)),
        "saturating": (log_not_d(x), -sigmoid(x)),
        "algorithm_13_1": (-sigmoid(x), -sigmoid(x) * sigmoid(-x)),
    }[loss]


def computed(player: str, loss: str, smoothing: float, logits: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    if player == "generator":
        return generator_loss(logits, loss, label_smoothing=smoothing)
    pair = (logits, other) if player == "real" else (other, logits)
    return discriminator_loss(*pair, loss, label_smoothing=smoothing)


def nothing(player: str, loss: str) -> torch.Tensor:
    """Logits that cost the discriminator nothing, so that the other term stands alone."""
    if loss == "wasserstein":
        return torch.zeros(1, dtype=torch.float64)
    if loss == "least_squares":
        return torch.zeros(1, dtype=torch.float64) + (player == "fake")
    return torch.full((1,), 1e5 if player == "fake" else -1e5, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("player", "loss", "smoothing"),
    [(player, *case) for player in ("real", "fake", "generator") for case in CASES if player != "fake" or not case[1]],
)
def test_values_and_gradients_at_every_size_of_logit(player, loss, smoothing, dtype):
    logits = torch.tensor(LOGITS, dtype=dtype)
    values, slopes = truth(player, loss, smoothing, logits.numpy())
    eps = torch.finfo(dtype).eps
    spare = nothing(player, loss).to(dtype)
    for logit, value, slope in zip(logits, values, slopes, strict=True):
        leaf = logit.clone().reshape(1).requires_grad_()
        result = computed(player, loss, smoothing, leaf, spare)
        result.backward()
        assert result.dtype == dtype and torch.isfinite(result) and torch.isfinite(leaf.grad).all()
        tiny = torch.finfo(dtype).tiny
        scale = abs(value) + abs(float(logit)) * smoothing  # smoothed: a sum of two
        assert abs(np.longdouble(result.item()) - value) <= 3 * eps * scale + tiny, (logit, result, value)
        assert abs(np.longdouble(leaf.grad.item()) - slope) <= 4 * eps * max(abs(slope), smoothing) + tiny, logit


@pytest.mark.parametrize(("loss", "smoothing"), CASES)
def test_the_mean_over_many_logits(loss, smoothing):
    generator = torch.Generator().manual_seed(0)
    real, fake = (5 * torch.randn(7, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    expected = [truth(player, loss, smoothing, x.numpy())[0].mean() for player, x in (("real", real), ("fake", fake))]
    assert discriminator_loss(real, fake, loss, label_smoothing=smoothing).item() == pytest.approx(
        float(sum(expected)), rel=1e-13
    )
    expected = float(truth("generator", loss, smoothing, fake.numpy())[0].mean())
    assert generator_loss(fake, loss, label_smoothing=smoothing).item() == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("loss", "smoothing"), CASES)
def test_derivatives_of_first_and_second_order(loss, smoothing):
    generator = torch.Generator().manual_seed(1)
    real, fake = (torch.randn(5, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    for function, arguments in (
        (lambda a, b: discriminator_loss(a, b, loss, label_smoothing=smoothing), (real, fake)),
        (lambda b: generator_loss(b, loss, label_smoothing=smoothing), (fake,)),
    ):
        assert torch.autograd.gradcheck(function, arguments)
        assert torch.autograd.gradgradcheck(function, arguments)


@pytest.mark.parametrize("loss", GAMES)
def test_transforms_and_compilation_agree(loss):
    fake = torch.randn(6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    leaf = fake.clone().requires_grad_()
    generator_loss(leaf, loss).backward()
    torch.testing.assert_close(torch.func.grad(lambda x: generator_loss(x, loss))(fake), leaf.grad)
    each = torch.func.vmap(torch.func.grad(lambda x: generator_loss(x, loss)))(fake.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(each, 6 * leaf.grad)
    compiled = torch.compile(lambda x: generator_loss(x, loss), fullgraph=True, backend="aot_eager")
    other = fake.clone().requires_grad_()
    compiled(other).backward()
    torch.testing.assert_close(other.grad, leaf.grad)


def test_no_more_error_than_eager():
    """binary_cross_entropy_with_logits, which people write, loses the small losses; these do not."""
    logits = torch.linspace(-30, 30, 4001)
    exact = F.softplus(logits.double(), threshold=1e9)
    ours = torch.stack([discriminator_loss(torch.tensor([1e9]), x.reshape(1)) for x in logits])
    eager = F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits), reduction="none")
    errors = [((value.double() - exact).abs() / exact).max() for value in (ours, eager)]
    assert errors[0] < 3e-7
    assert errors[0] <= errors[1]


def test_narrow_logits_accumulate_in_float32():
    logits = torch.randn(256, generator=torch.Generator().manual_seed(3)).bfloat16().requires_grad_()
    loss = generator_loss(logits)
    loss.backward()
    assert loss.dtype == torch.float32 and logits.grad.dtype == torch.bfloat16
    assert loss.item() == pytest.approx(F.softplus(-logits.double()).mean().item(), rel=1e-6)


def test_label_swapped_differs_by_smoothing_alone():
    logits = torch.linspace(-3, 5, 7)
    assert generator_loss(logits, "label_swapped") == generator_loss(logits, "non_saturating")
    assert generator_loss(logits, "label_swapped", label_smoothing=0.1) > generator_loss(logits, "label_swapped")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: discriminator_loss(x, x, "best"), ValueError, "loss: expected one of non_saturating, .*got 'best'"),
        (lambda x: generator_loss(x, label_smoothing=1.0), ValueError, r"label_smoothing: expected .*\[0, 1\), got 1"),
        (
            lambda x: discriminator_loss(x, x, "hinge", label_smoothing=0.1),
            ValueError,
            "label_smoothing: loss='hinge' has no labels",
        ),
        (lambda x: discriminator_loss(x, x.int()), TypeError, "fake_logits: expected .* got torch.int32"),
        (lambda x: generator_loss([0.0]), TypeError, "fake_logits: expected .* got list"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.zeros(3))
