"""Config sections from the signatures of what they build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
from pydantic import ValidationError

from deepgen_fast.config import ConfigError, GANTrainerConfig
from deepgen_fast.config.from_signature import argument_texts, model_section, section_of, with_defaults
from deepgen_fast.config.sections import describe
from deepgen_fast.systems import RunConfig, system_named


def build(
    event_shape: Sequence[int],
    width: int = 8,
    channels: Sequence[int] = (4, 8),
    kind: Literal["plain", "fancy"] = "plain",
    first: float | None = None,
    second: float | None = None,
) -> None:
    """Makes nothing.

    Args:
        event_shape: of an example.
        width: of ``everything``, in
            units.
        channels: of each layer.
        kind: plain or not.
        first, second: two numbers.

    Raises:
        ValueError: width: never.
    """


class Described:
    """Something.

    Args:
        size: how large.
    """

    def __init__(self, size: int = 3) -> None:
        self.size = size


def test_parameters_become_fields():
    section = model_section(build, "BuildConfig", "What build takes.")
    values = section()
    assert values.model_dump() == {
        "width": 8,
        "channels": (4, 8),
        "kind": "plain",
        "first": None,
        "second": None,
        "event_shape": None,
    }
    assert section.model_fields["width"].description == "of everything, in units"
    assert section.model_fields["second"].description == "two numbers"
    assert section.model_validate({"channels": [1, 2]}).channels == (1, 2)
    assert section.__doc__ == "What build takes."
    assert section_of(Described, "D", "d")().model_dump() == {"size": 3}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "odd"}, "kind: input should be 'plain' or 'fancy', got 'odd'"),
        ({"depth": 1}, "depth: no such field"),
        ({"width": "x"}, "width: "),
        ({"width": True}, "width: input should be a valid integer, got True"),
        ({"width": 10**30}, "width: input should be less than or equal to 2147483647, got 1000"),
        ({"channels": [4, True]}, "channels.1: input should be a valid integer, got True"),
        ({"first": True}, "first: input should be a valid number, got True"),
        ({"event_shape": [0]}, "event_shape.0: input should be greater than or equal to 1, got 0"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(ValidationError) as caught:
        model_section(build, "BuildConfig", "").model_validate(values)
    assert message in describe(caught.value)


def test_what_is_not_described_is_a_defect():
    def bare(width: int = 3) -> None:
        """Nothing said."""

    def required(width: int) -> None:
        """Args:
        width: of it.
        """

    with pytest.raises(TypeError, match="bare: parameter width has no text under Args"):
        section_of(bare, "B", "")
    with pytest.raises(TypeError, match="required: parameter width has no default, text under Args"):
        section_of(required, "B", "")


def test_argument_texts_end_with_their_section():
    assert set(argument_texts(build)) == {"event_shape", "width", "channels", "kind", "first", "second"}


def test_an_unknown_system_is_named():
    with pytest.raises(ConfigError, match=r"system: expected one of vae.*, got 'cave'"):
        system_named("cave")
    with pytest.raises(ConfigError, match="mine: system: expected one of vae"):
        RunConfig.from_mapping({"system": "cave"}, source="mine")
    assert RunConfig.from_mapping({}) == RunConfig.from_mapping({"system": "vae"}) == RunConfig.for_system("vae")()


class Further(Described):
    """Something more.

    Args:
        color: which.
        options: of ``Described``.
    """

    def __init__(self, color: str = "red", **options) -> None:
        super().__init__(**options)
        self.color = color


def test_options_that_are_handed_on_are_fields_too():
    section = section_of(Further, "Section", "Title")
    assert section().model_dump() == {"color": "red", "size": 3}
    assert section.model_fields["size"].description == "how large"
    made = Further(**section(size=5).model_dump())
    assert (made.color, made.size) == ("red", 5)


def test_defaults_of_a_systems_own():
    made = with_defaults(GANTrainerConfig, learning_rate=1e-3, epochs=40)
    assert (made().learning_rate, made().epochs, made().batch_size) == (1e-3, 40, GANTrainerConfig().batch_size)
    assert GANTrainerConfig().learning_rate == 2e-4
    assert made.model_fields["epochs"].description == GANTrainerConfig.model_fields["epochs"].description
    with pytest.raises(ValidationError, match="greater than 0"):
        made(learning_rate=-1.0)
