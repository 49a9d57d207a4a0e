"""A registry that tests may add to; small models, data and settings that the tests of whole runs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from training.fixtures import build_gan, build_vae, images, pictures, quiet, same_run

from deepgen_fast.systems import registry as systems_registry
from deepgen_fast.systems.run_config import run_config_class

__all__ = ["build_gan", "build_vae", "images", "pictures", "quiet", "registry", "same_run"]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is gone after it."""
    monkeypatch.setattr(systems_registry, "_registered", systems_registry.systems())
    run_config_class.cache_clear()
    yield
    run_config_class.cache_clear()
