"""The NEON kernels, emulated, give the bits of the x86 kernels."""

from __future__ import annotations

import re

import neon_check
import pytest


def test_every_entry_of_the_kernel_tables_has_cases() -> None:
    """A table that gains an entry needs cases for it in the driver."""
    cases = "".join(path.read_text() for path in neon_check.Path(neon_check.__file__).parent.glob("*.h"))
    entries = []
    for header in (neon_check.CSRC / "cpu" / "kernels.h", *sorted(neon_check.CSRC.glob("ops/*/arguments.h"))):
        for struct in re.findall(r"struct \w+Kernels \{(.*?)\n\};", header.read_text(), re.DOTALL):
            code = re.sub(r"//[^\n]*", "", struct)
            entries += re.findall(r"\(\*(\w+)", code)
            for declared in re.findall(r"(?:\w+Kernel|WorkspaceBytes) ([^;]*);", code):
                entries += re.findall(r"(\w+)\[kElements\]", declared)
    assert len(entries) >= 20
    assert not [name for name in entries if not re.search(rf"\b(?:table|bernoulli|gaussian)\.{name}\b", cases)]


@pytest.mark.slow  # compiles every kernel table three times
@pytest.mark.skipif(neon_check.unsupported_reason() is not None, reason=str(neon_check.unsupported_reason()))
def test_same_bits_as_x86() -> None:
    table, agree = neon_check.compare()
    assert agree, table
