from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from deepgen_fast.training import save_image_grid
from deepgen_fast.training.report.image_grid import image_grid


def test_layout():
    images = torch.tensor([0.2, 0.4, 2.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    grid = image_grid(images, columns=2, padding=1)
    assert grid.dtype == np.uint8
    assert grid.tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 51, 51, 0, 102, 102, 0],
        [0, 51, 51, 0, 102, 102, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 255, 255, 0, 0, 0, 0],
        [0, 255, 255, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


def test_square_by_default_and_color(tmp_path):
    images = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    grid = image_grid(images, padding=0)
    assert grid.shape == (8, 18, 3)
    save_image_grid(images, tmp_path / "grid.png", padding=0)
    assert np.array_equal(np.array(Image.open(tmp_path / "grid.png")), grid)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"images: expected \[N, H, W\].*got \[2, 2, 4, 4\]"):
        image_grid(torch.zeros(2, 2, 4, 4))
    with pytest.raises(ValueError, match="images: expected"):
        image_grid(torch.zeros(0, 1, 4, 4))
    with pytest.raises(ValueError, match="padding: expected 0 or more, got -1"):
        image_grid(torch.zeros(1, 1, 4, 4), padding=-1)
