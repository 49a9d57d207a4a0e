"""What can be trained, by name, and the config of a run of each."""

from __future__ import annotations

from deepgen_fast.systems.adversarial import adversarial_system
from deepgen_fast.systems.registry import register, system_named, systems
from deepgen_fast.systems.run_config import RunConfig
from deepgen_fast.systems.system import System
from deepgen_fast.systems.variational import variational_system

__all__ = ["RunConfig", "System", "adversarial_system", "register", "system_named", "systems", "variational_system"]
