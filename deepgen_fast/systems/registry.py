"""The systems that can be trained, by name: those of this package, and those of installed packages.

A package adds its own in a module that is named in its ``pyproject.toml``::

    [project.entry-points."deepgen_fast.systems"]
    mine = "my_package.system"

and that registers it when it is imported, by ``@variational_system(...)``, ``@adversarial_system(...)`` or
``register(System(...))``. ``deepgen-fast train mine`` then is a command like the others.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from deepgen_fast.config.sections import ConfigError
from deepgen_fast.systems.system import System

ENTRY_POINTS = "deepgen_fast.systems"
#: Modules of this package that register one system each, in the order of the help.
BUILT_IN = (
    *("vae", "cvae", "dlgm", "sentence_vae"),
    *("gan", "dcgan", "cgan", "infogan", "lapgan", "catgan", "semi_supervised_gan"),
)

_registered: dict[str, System] = {}


def register(system: System) -> System:
    """Add a system.

    Raises:
        ValueError: when there is another of its name.
    """
    if system.name in _registered:
        raise ValueError(f"system: there is one named {system.name!r} already, {_registered[system.name].title}")
    _registered[system.name] = system
    return system


def systems() -> dict[str, System]:
    """All systems by name, those of this package first.

    One of an installed package that cannot be imported is left out, with a warning that says why.
    """
    _load()
    return dict(_registered)


@cache
def _load() -> None:
    for name in BUILT_IN:
        import_module(f"deepgen_fast.systems.{name}")
    for point in entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except Exception as error:  # whatever a stranger's module raises, the others can still be trained
            package = "" if point.dist is None else f" of the package {point.dist.name}"
            warnings.warn(
                f"the system {point.name!r}{package} cannot be loaded: {type(error).__name__}: {error}", stacklevel=3
            )


def system_named(name: str) -> System:
    """The system of that name.

    Raises:
        ConfigError: when there is none.
    """
    known = systems()
    if name not in known:
        raise ConfigError(f"system: expected one of {', '.join(known)}, got {name!r}")
    return known[name]
