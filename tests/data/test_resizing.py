from __future__ import annotations

import numpy as np
import pytest
import torch

from deepgen_fast.data import DataError, load_dataset


def test_images_in_memory_are_resized(tmp_path):
    images = torch.rand(20, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "images.npy", images.numpy())
    plain, small = load_dataset(tmp_path / "images.npy"), load_dataset(tmp_path / "images.npy", image_size=(3, 4))
    for split in ("train", "validation", "test"):
        before, after = getattr(plain, split).images, getattr(small, split).images
        assert after.shape == (len(before), 1, 3, 4)
        # Antialiased: halving mixes every pixel in, so an image keeps its mean but for its edges.
        torch.testing.assert_close(after.mean((1, 2, 3)), before.mean((1, 2, 3)), rtol=0, atol=0.06)
        assert after.min() >= 0 and after.max() <= 1
    assert torch.equal(load_dataset(tmp_path / "images.npy", image_size=(6, 8)).train.images, plain.train.images)


def test_built_in_digits_at_another_size():
    digits = load_dataset("digits", image_size=16)
    assert digits.event_shape == (1, 16, 16)
    assert len(digits.train.labels) == len(digits.train)


def test_what_cannot_be_resized_is_named(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((20, 5), dtype=np.float32))
    with pytest.raises(DataError, match=r"image_size: .*flat\.npy has examples of shape \[5\]"):
        load_dataset(tmp_path / "flat.npy", image_size=8)
    with pytest.raises(DataError, match="image_size: expected positive numbers, got 0"):
        load_dataset("digits", image_size=0)
