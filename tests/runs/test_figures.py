"""The pictures' geometry: what stands where, not how it looks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from deepgen_fast.runs import figures


def test_tile_places_images_by_rows() -> None:
    images = torch.arange(5.0).view(5, 1, 1).expand(5, 2, 3)
    sheet = figures.tile(images, 3, gap=1, background=9.0)
    assert sheet.shape == (2 * 2 + 1, 3 * 3 + 2)
    assert sheet[0].tolist() == [0, 0, 0, 9, 1, 1, 1, 9, 2, 2, 2]
    assert sheet[2].tolist() == [9] * 11
    assert sheet[4].tolist() == [3, 3, 3, 9, 4, 4, 4, 9, 9, 9, 9]


@pytest.mark.parametrize(
    ("event_shape", "shape"),
    [((4, 6), (2, 4, 6)), ((1, 4, 6), (2, 4, 6)), ((3, 4, 6), (2, 4, 6, 3)), ((25,), (2, 5, 5))],
)
def test_as_images(event_shape: tuple[int, ...], shape: tuple[int, ...]) -> None:
    values = torch.linspace(-1, 2, 2 * torch.Size(event_shape).numel()).view(2, *event_shape)
    images = figures.as_images(values, event_shape)
    assert images.shape == shape
    assert images.min() == 0
    assert images.max() == 1
    if event_shape[0] == 3:
        torch.testing.assert_close(images[1, 2, 5], values[1, :, 2, 5].clamp(0, 1))


@pytest.mark.parametrize("event_shape", [(5,), (2, 4, 6), (1, 2, 3, 4)])
def test_as_images_refuses_what_is_no_image(event_shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="event_shape: expected an image"):
        figures.as_images(torch.zeros(1, *event_shape), event_shape)


def test_unit_square_latents_have_equal_prior_mass() -> None:
    latents = figures.unit_square_latents(4)
    uniform = torch.special.ndtr(latents.double()).view(4, 4, 2)
    centers = torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64)
    for row in range(4):  # the first latent grows to the right, the second upwards
        torch.testing.assert_close(uniform[row, :, 0], centers, rtol=0, atol=1e-6)
        torch.testing.assert_close(uniform[:, row, 1], centers.flip(0), rtol=0, atol=1e-6)


def test_figures_are_written(tmp_path: Path) -> None:
    images = torch.rand(7, 8, 8, generator=torch.Generator().manual_seed(0))
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    paths = [
        figures.image_grid(images, tmp_path / "new" / "grid.png", title="grid", columns=4),
        figures.reconstruction_grid(images, 1 - images, tmp_path / "pairs.png", title="pairs", columns=3),
        figures.latent_plane(
            points, torch.arange(50) % 10, tmp_path / "plane.png", title="plane", axis_names=("a", "b")
        ),
        figures.latent_plane(points, None, tmp_path / "plain.png", title="plain", axis_names=("a", "b")),
        figures.manifold(images[:4], 2, tmp_path / "manifold.png", title="manifold"),
    ]
    for path in paths:
        picture = imread(path)
        assert min(picture.shape[:2]) > 200
        assert picture[..., :3].std() > 0.02
    # Ten colors and a legend: the labeled plane holds more colors than the plain one.
    colors = [len(set(map(tuple, (imread(path)[..., :3] * 8).astype(int).reshape(-1, 3)))) for path in paths[2:4]]
    assert colors[0] > colors[1] + 5
