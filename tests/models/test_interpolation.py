from __future__ import annotations

import math

import pytest
import torch

from deepgen_fast.models import latent_path


def test_great_circles_keep_the_norm_and_the_pace():
    generator = torch.Generator().manual_seed(0)
    first, last = (torch.randn(4, 50, generator=generator, dtype=torch.float64) for _ in range(2))
    path = latent_path(first, last, 9, spherical=True)
    torch.testing.assert_close(path[:, 0], first)
    torch.testing.assert_close(path[:, -1], last)
    norms = path.norm(dim=-1)
    torch.testing.assert_close(norms, torch.lerp(norms[:, :1], norms[:, -1:], torch.linspace(0, 1, 9).double()))
    directions = path / norms.unsqueeze(-1)
    angles = torch.acos((directions[:, 1:] * directions[:, :-1]).sum(-1))
    torch.testing.assert_close(angles, angles.mean(1, keepdim=True).expand_as(angles))


def test_a_quarter_circle():
    path = latent_path(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 3, spherical=True)
    torch.testing.assert_close(path[0, 1], torch.full((2,), math.sqrt(2)))


def test_straight_lines():
    path = latent_path(torch.zeros(1, 2), torch.ones(1, 2), 5, spherical=False)
    assert path[0, :, 0].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("end", [[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]])
def test_ends_without_an_angle_give_finite_paths(end):
    path = latent_path(torch.tensor([[1.0, 2.0]]), torch.tensor([end]), 4, spherical=True)
    assert torch.isfinite(path).all()
    torch.testing.assert_close(path[0, -1], torch.tensor(end))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="steps: expected at least 2, got 1"):
        latent_path(torch.zeros(1, 2), torch.zeros(1, 2), 1, spherical=True)
    with pytest.raises(ValueError, match=r"last: expected \[n, latent_dim\] as first, \[1, 2\], got \[1, 3\]"):
        latent_path(torch.zeros(1, 2), torch.zeros(1, 3), 2, spherical=True)


def test_of_a_tuple_what_is_continuous_moves_and_codes_stay():
    labels = torch.tensor([3, 1]), torch.tensor([0, 2])
    first, last = torch.zeros(2, 4), torch.ones(2, 4)
    images = torch.zeros(2, 1, 3, 3), torch.ones(2, 1, 3, 3)
    z, held, moved = latent_path((first, labels[0], images[0]), (last, labels[1], images[1]), 5, spherical=False)
    assert torch.equal(z, latent_path(first, last, 5, spherical=False))
    assert torch.equal(held, torch.tensor([[3] * 5, [1] * 5]))
    assert moved.shape == (2, 5, 1, 3, 3) and torch.equal(moved[0, :, 0, 1, 2], torch.linspace(0, 1, 5))
