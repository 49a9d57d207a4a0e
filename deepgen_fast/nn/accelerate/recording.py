"""What ``explain`` listens to: every run that is computed on this thread while it listens."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

# One listener at a time, and the thread that it listens to. A plain global, which torch.compile reads as a constant.
_listener: Callable[..., None] | None = None
_thread: int | None = None
_one_at_a_time = threading.Lock()


def active() -> bool:
    return _listener is not None


def note(run: Any, input: Any, geometry: dict[str, Any]) -> None:
    listener = _listener
    if listener is not None and threading.get_ident() == _thread:
        listener(run, input, geometry)


@contextlib.contextmanager
def listening(listener: Callable[..., None]) -> Iterator[None]:
    global _listener, _thread
    with _one_at_a_time:
        _listener, _thread = listener, threading.get_ident()
        try:
            yield
        finally:
            _listener, _thread = None, None
