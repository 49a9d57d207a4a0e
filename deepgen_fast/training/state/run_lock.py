"""One process at a time trains in a run directory."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


class RunInUseError(RuntimeError):
    """Another process trains in the run directory."""


class RunLock:
    """A lock that the operating system lets go of when the process ends, however it ends: none is ever stale.

    Args:
        directory: of the run. The lock is its file ``.lock``, which stays; ``.lock.json`` tells who holds it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._holder = directory / ".lock.json"
        self._lock = FileLock(directory / ".lock")

    def acquire(self) -> None:
        """Take the lock; the directory is made when missing.

        Raises:
            RunInUseError: when another process, or another trainer of this one, holds it.
            OSError: when the directory cannot be written, or its file system has no locks.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunInUseError(
                f"{self.directory}: {self._who()} trains in this run directory: wait until it has ended, or name "
                "another directory"
            ) from None
        except NotImplementedError as error:  # of older versions of filelock
            raise OSError(f"{self.directory}: cannot be locked: {error}") from error
        holder = {"pid": os.getpid(), "host": socket.gethostname()}
        with suppress(OSError):  # of no more use than for a message
            self._holder.write_text(json.dumps(holder), encoding="utf-8")

    def release(self) -> None:
        """Let go of the lock."""
        with suppress(OSError):
            self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _who(self) -> str:
        try:
            holder: Any = json.loads(self._holder.read_text(encoding="utf-8"))
            pid, host = int(holder["pid"]), str(holder["host"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):  # just taken, or let go
            return "another process"
        return (
            f"process {pid} on {host}" if pid != os.getpid() else f"another trainer of this process ({pid} on {host})"
        )
