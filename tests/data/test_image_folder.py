from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from deepgen_fast.data import DataError, load_dataset

WHOLE = {"validation_fraction": 0.0, "test_fraction": 0.0}


def write(path, seed: int, shape=(6, 5)) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_images_in_the_order_of_their_paths(tmp_path):
    expected = np.stack([write(tmp_path / name, seed) for seed, name in enumerate(("a.png", "b.PNG", "c.bmp"))])
    (tmp_path / "notes.txt").write_text("not an image")
    split = load_dataset(tmp_path, **WHOLE).train
    assert torch.equal(split.images, torch.from_numpy(expected[:, None]).float() / 255)
    assert split.labels is None


def test_subfolders_are_labels(tmp_path):
    for seed, name in enumerate(("dog/1.png", "cat/1.png", "dog/2.png")):
        write(tmp_path / name, seed)
    assert load_dataset(tmp_path, **WHOLE).train.labels.tolist() == [0, 1, 1]


def test_color_and_mode(tmp_path):
    pixels = write(tmp_path / "a.png", 0, (6, 5, 3))
    color = load_dataset(tmp_path, **WHOLE).train.images
    assert torch.equal(color[0], torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    assert load_dataset(tmp_path, image_mode="L", **WHOLE).event_shape == (1, 6, 5)


def test_sizes_must_agree_or_be_given(tmp_path):
    write(tmp_path / "a.png", 0)
    write(tmp_path / "b.png", 1, (7, 5))
    with pytest.raises(DataError, match=r"b\.png: 7x5 pixels.*first image has 6x5; pass image_size"):
        load_dataset(tmp_path, **WHOLE)
    assert load_dataset(tmp_path, image_size=4, **WHOLE).event_shape == (1, 4, 4)
    assert load_dataset(tmp_path, image_size=(4, 3), **WHOLE).event_shape == (1, 4, 3)


def test_data_too_large_for_memory_is_read_when_asked_for(tmp_path):
    for seed in range(4):
        write(tmp_path / f"{seed}.png", seed)
    loaded = load_dataset(tmp_path, **WHOLE).train
    lazy = load_dataset(tmp_path, in_memory_limit=4 * 4 * 6 * 5 - 1, **WHOLE).train
    assert lazy.images is None
    assert len(lazy) == 4
    assert lazy.event_shape == (1, 6, 5)
    assert torch.equal(torch.stack([lazy.dataset[index] for index in range(4)]), loaded.images)


def test_wrong_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="no images"):
        load_dataset(tmp_path)
    write(tmp_path / "a.png", 0)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(DataError, match=r"b\.png: not an image that can be read"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="image_mode: expected 'L' or 'RGB', got 'CMYK'"):
        load_dataset(tmp_path, image_mode="CMYK")
    with pytest.raises(DataError, match="image_size: expected positive numbers"):
        load_dataset(tmp_path, image_size=0)
