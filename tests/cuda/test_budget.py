"""Registers, spills and access widths of every CUDA kernel, for every architecture of the build."""

from __future__ import annotations

import json
import re

import pytest

from cuda import budget


def test_every_kernel_of_the_sources_has_a_budget_for_every_architecture() -> None:
    entries = json.loads(budget.BUDGET.read_text())
    assert set(entries) == {f"sm_{number}" for number in budget.cuda.ARCHITECTURES}
    sources = "".join(path.read_text() for path in budget.cuda.CSRC.rglob("*.cu*"))
    kernels = set(re.findall(r"__global__[^{;]*?\b(\w+_kernel)\(", sources))
    assert {"rows_kernel", "channels_kernel", "outputs_kernel", "weight_gradient_kernel"} < kernels
    for allowed in entries.values():
        assert {name.split("<", 1)[0] for name in allowed} == kernels


def test_violations_are_found() -> None:
    wide, narrow = "rows_kernel<true, A<float>>", "rows_kernel<false, A<float>>"
    good = budget.Figures(40, 0, (32, 128), (128,))
    allowed = {"sm_90": {wide: 40, narrow: 40}}
    assert budget.violations({"sm_90": {wide: good, narrow: good}}, allowed) == []
    for broken in (
        {wide: good._replace(registers=41), narrow: good},
        {wide: good, narrow: good._replace(spilled=4)},
        {wide: good._replace(loads=(32, 64)), narrow: good},
        {wide: good._replace(stores=(32,)), narrow: good},
        {wide: good},
        {wide: good, narrow: good, "rows_kernel<true, B<float>>": good},
    ):
        assert len(budget.violations({"sm_90": broken}, allowed)) == 1


@pytest.mark.slow
@pytest.mark.skipif(budget.unsupported_reason() is not None, reason=str(budget.unsupported_reason()))
def test_budget_is_kept() -> None:
    assert budget.violations(budget.measure(), json.loads(budget.BUDGET.read_text())) == []
