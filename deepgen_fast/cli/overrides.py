"""Fields of a config from flags and from `--set`."""

from __future__ import annotations

from typing import Any

from deepgen_fast.cli.errors import UsageError


def overrides(given: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Config fields from the flags that were given and from `--set section.field=value` (which wins).

    Values of settings are TOML (`0.5`, `true`, `[32, 64]`), or plain text where they are none.

    Raises:
        UsageError: a setting without an equals sign.
    """
    from deepgen_fast.config.toml import toml_value

    fields = {field: value for field, value in given.items() if value is not None}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or "." not in key:
            raise UsageError(f"--set: expected section.field=value, got {setting!r}")
        fields[key.strip()] = toml_value(text.strip())
    return fields
