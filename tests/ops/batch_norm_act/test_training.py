"""A training step's moments and running statistics, and normalization in place."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from contract.measure import assert_bitwise

import deepgen_fast as dgf
from ops.batch_norm_act.cases import ACTIVATIONS, OPERATORS

DTYPES = (torch.float32, torch.float64)


@pytest.mark.parametrize("running", DTYPES, ids=str)
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_moments_and_running_statistics_are_pytorchs(wide: bool, running: torch.dtype) -> None:
    image = (3 + 2 * torch.randn(5, 7, 6, 4)).double()
    statistics, count = OPERATORS.channel_statistics(image), image.numel() // 7
    mean, var = torch.randn(7, dtype=running), torch.rand(7, dtype=running)
    expected = [mean.double(), var.double()]
    F.batch_norm(image, *expected, training=True, momentum=0.3)
    found = OPERATORS.batch_norm_moments(statistics, count, wide, mean, var, 0.3, 1e-5)
    dtype = torch.float64 if wide else torch.float32
    centered = image - image.mean((0, 2, 3), keepdim=True)
    invstd = torch.rsqrt(centered.square().mean((0, 2, 3)) + 1e-5)
    for one, two in zip(found, (image.mean((0, 2, 3)), invstd), strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one, two.to(dtype))
    torch.testing.assert_close(mean, expected[0].to(running))
    torch.testing.assert_close(var, expected[1].to(running))


def test_no_numbers_leave_running_statistics_alone() -> None:
    mean, var = torch.ones(3), torch.ones(3)
    statistics = OPERATORS.channel_statistics(torch.empty(0, 3, 2, 2))
    OPERATORS.batch_norm_moments(statistics, 0, False, mean, var, 0.3, 1e-5)
    assert mean.eq(1).all() and var.eq(1).all()


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("activation", range(5), ids=ACTIVATIONS)
def test_in_place_is_the_same(activation: int, last: bool) -> None:
    image = torch.randn(5, 19, 33, 7)
    image = image.to(memory_format=torch.channels_last) if last else image
    arguments = (*(torch.rand(19) + 0.5 for _ in range(4)), activation, 0.2)
    expected = OPERATORS.batch_norm_act(image, *arguments)
    assert OPERATORS.batch_norm_act_(image, *arguments) is None
    assert_bitwise(image, expected)


def test_in_place_refuses_what_is_not_dense() -> None:
    image = torch.randn(4, 6, 8, 8)[:, ::2]
    with pytest.raises(RuntimeError, match="must be dense to be normalized in place"):
        OPERATORS.batch_norm_act_(image, *(torch.ones(3) for _ in range(4)), 0, 0.0)


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_without_gradients_a_layer_gives_the_same_and_leaves_its_input(algorithm: str) -> None:
    x, weight, ones = torch.randn(4, 8, 6, 6), torch.randn(8, 8, 4, 4), torch.ones(8, requires_grad=True)
    before = x.clone()

    def layer() -> torch.Tensor:
        return dgf.conv_transpose_bn_act(x, weight, bn_weight=ones, training=True, algorithm=algorithm)

    with torch.no_grad():
        without = layer()
    assert_bitwise(without, layer().detach())
    assert_bitwise(x, before)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("training", [True, False])
def test_versions_of_running_statistics_rise_where_pytorchs_do(training: bool, backend: str) -> None:
    x, weight = torch.randn(4, 8, 6, 6), torch.randn(8, 8, 4, 4)
    versions = []
    for plain in (True, False):
        mean, var = torch.zeros(8), torch.ones(8)
        if plain:
            F.batch_norm(F.conv2d(x, weight, None, 2, 1), mean, var, training=training)
        else:
            dgf.conv_bn_act(x, weight, running_mean=mean, running_var=var, training=training, backend=backend)
        versions.append((mean._version, var._version))
        assert mean.eq(0).all() != training
    assert versions[1] == versions[0]


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backward_of_evaluation_after_a_training_step(dtype: torch.dtype, backend: str) -> None:
    """The gradient is that of the statistics which the forward normalized by, wherever they have moved since."""
    x, weight = torch.randn(4, 8, 6, 6, dtype=dtype), torch.randn(8, 8, 4, 4, dtype=dtype)
    gradients = []
    for step_between in (False, True):
        norm = {"running_mean": torch.full((8,), 0.5, dtype=dtype), "running_var": torch.full((8,), 2.0, dtype=dtype)}
        scale = torch.ones(8, dtype=dtype, requires_grad=True)

        def layer(training: bool, norm: dict = norm, scale: torch.Tensor = scale) -> torch.Tensor:
            return dgf.conv_bn_act(x, weight, **norm, bn_weight=scale, training=training, backend=backend)

        loss = layer(False).square().sum()
        if step_between:
            layer(True)
        loss.backward()
        gradients.append(scale.grad)
    torch.testing.assert_close(gradients[1], gradients[0])
