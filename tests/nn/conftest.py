"""Layers here are small, so that tests are quick: none of them counts as too small to be fused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deepgen_fast.nn import layers
from deepgen_fast.ops.convolution import algorithm, arguments


@pytest.fixture(autouse=True)
def _nothing_is_too_small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module, name in ((layers, "SMALL_LAYER"), (layers, "SMALL_CALL"), (algorithm, "SMALL_CALL")):
        monkeypatch.setattr(module, name, 0.0)
    _forget()
    yield
    _forget()


def _forget() -> None:
    algorithm._remembered.cache_clear()
    arguments._checked.clear()
