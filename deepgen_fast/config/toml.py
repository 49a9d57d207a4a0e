"""TOML files, read with errors that name the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from deepgen_fast.config.sections import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:  # Python 3.10
    import tomli as tomllib


def toml_value(text: str) -> Any:
    """A TOML value, such as ``[32, 64]``, or the text itself where it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def read_toml(path: str | Path) -> dict[str, Any]:
    """The values of a file.

    Raises:
        ConfigError: when the file is missing or is no TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply") from error
    except ValueError as error:  # TOML's and UTF-8's errors, and numbers of thousands of digits
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
