"""Layers here are small, so that tests are quick: each is fused, however little is gained."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deepgen_fast.nn import selection
from deepgen_fast.ops.convolution import algorithm, arguments


@pytest.fixture(autouse=True)
def _nothing_is_too_small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module, name in ((selection, "SMALL_LAYER"), (selection, "SMALL_CALL"), (algorithm, "SMALL_CALL")):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(selection, "_nothing_to_gain", lambda layer, output: False)
    _forget()
    yield
    _forget()


def _forget() -> None:
    algorithm._remembered.cache_clear()
    selection._remembered.cache_clear()
    selection._left.clear()
    arguments._checked.clear()
