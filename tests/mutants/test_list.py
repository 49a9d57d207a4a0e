"""The list of faults that ``make mutants`` plants: every one of them still applies to the code as it is."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mutants.fault import Fault, OutOfDate
from mutants.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_applies(fault: Fault) -> None:
    """Its original text is there exactly once, and the tests that are to catch it exist."""
    changed = fault.text(ROOT)
    assert changed != (ROOT / fault.file).read_text()
    files = [word.split("::")[0] for word in shlex.split(fault.tests) if word.startswith("tests/")]
    assert files and all((ROOT / file).exists() for file in files)


def test_each_fault_is_listed_once() -> None:
    assert len(set(FAULTS)) == len(FAULTS) >= 40


@pytest.mark.parametrize("content", ["", "a = 2", "a = 1; b = a = 1"])
def test_a_fault_that_does_not_apply_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "file.py").write_text(content)
    with pytest.raises(OutOfDate, match="exactly once"):
        Fault("file.py", "a = 1", "a = 0", "tests").text(tmp_path)
