from __future__ import annotations

import math

import pytest

from deepgen_fast.training.state.schedule import LearningRateSchedule
from deepgen_fast.training.state.seeds import derive_seed


def rates(kind: str, **options) -> list[float]:
    schedule = LearningRateSchedule(kind, 0.5, options.pop("warmup_steps", 0), 8, **options)
    return [schedule.at(step) for step in range(9)]


def test_constant_after_warm_up():
    assert rates("none", warmup_steps=4) == [0.125, 0.25, 0.375, 0.5] + [0.5] * 5


def test_cosine_falls_from_the_peak_to_the_final_fraction():
    values = rates("cosine", final_fraction=0.1)
    assert values[0] == 0.5
    assert values[4] == pytest.approx(0.5 * 0.55)
    assert values[8] == pytest.approx(0.05)
    assert values == sorted(values, reverse=True)


def test_cosine_begins_after_the_warm_up():
    values = rates("cosine", warmup_steps=2)
    assert values[:3] == [0.25, 0.5, 0.5]
    assert values[5] == pytest.approx(0.25 * (1 + math.cos(math.pi / 2)))


def test_steps():
    assert rates("step", decay_steps=3, decay_factor=0.5) == [0.5] * 3 + [0.25] * 3 + [0.125] * 3


def test_seeds_differ_by_seed_purpose_and_index():
    seeds = {derive_seed(seed, purpose, index) for seed in (0, 1) for purpose in ("a", "b") for index in (0, 1)}
    assert len(seeds) == 8
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    assert all(0 <= seed < 2**63 for seed in seeds)
