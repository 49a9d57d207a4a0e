"""A registry that tests may add to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deepgen_fast.systems import registry as systems_registry
from deepgen_fast.systems.run_config import run_config_class


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is gone after it."""
    monkeypatch.setattr(systems_registry, "_registered", systems_registry.systems())
    run_config_class.cache_clear()
    yield
    run_config_class.cache_clear()
