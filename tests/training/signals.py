"""Signals that a test sends to its own process."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType


def send(number: int) -> None:
    """Send this process a signal and come back when its handler has run.

    The system delivers a signal to any thread, and Python runs the handler some time later in the main one: what comes
    after ``os.kill`` may run first, and two signals may become one.
    """
    handler = signal.getsignal(number)
    handled = False

    def noting(received: int, frame: FrameType | None) -> None:
        nonlocal handled
        handled = True
        handler(received, frame)  # type: ignore[operator]

    signal.signal(number, noting)
    try:
        os.kill(os.getpid(), number)
        deadline = time.monotonic() + 300
        while not handled:
            assert time.monotonic() < deadline, f"signal {number} was never delivered"
            time.sleep(1e-3)
    finally:
        signal.signal(number, handler)
