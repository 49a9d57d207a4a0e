"""What can be trained, by name, and the config of a run of each."""

from __future__ import annotations

from deepgen_fast.systems.registry import SYSTEMS, System, system_named
from deepgen_fast.systems.run_config import RunConfig

__all__ = ["SYSTEMS", "RunConfig", "System", "system_named"]
