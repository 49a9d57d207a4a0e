"""What ``explain`` listens to: the runs that are computed on its thread, and the convolutions left to PyTorch."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Protocol


class Listener(Protocol):
    def computed(self, run: Any, operands: tuple[Any, ...], options: dict[str, Any]) -> None: ...

    def left(self, layer: Any, reason: str) -> None: ...


# One listener at a time, and the thread that it listens to. A plain global, which torch.compile reads as a constant.
_listener: Listener | None = None
_thread: int | None = None
_one_at_a_time = threading.Lock()


def active() -> bool:
    return _listener is not None


def _heard() -> Listener | None:
    listener = _listener
    return listener if threading.get_ident() == _thread else None


def note(run: Any, operands: tuple[Any, ...], options: dict[str, Any]) -> None:
    listener = _heard()
    if listener is not None:
        listener.computed(run, operands, options)


def note_left(layer: Any, reason: str) -> None:
    listener = _heard()
    if listener is not None:
        listener.left(layer, reason)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    global _listener, _thread
    with _one_at_a_time:
        _listener, _thread = listener, threading.get_ident()
        try:
            yield
        finally:
            _listener, _thread = None, None
